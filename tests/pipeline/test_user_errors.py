from pipeline.user_errors import error_text


def test_an_error_without_a_text_has_that_of_the_one_behind_it() -> None:
    def raised(error: Exception) -> Exception:
        try:
            try:
                raise FileNotFoundError("gs://bucket/schema.pbtxt; no such object")
            except OSError as behind:
                raise error from behind
        except Exception as caught:
            return caught

    assert error_text(raised(LookupError())) == (
        "LookupError from FileNotFoundError: gs://bucket/schema.pbtxt; no such object"
    )
    assert error_text(raised(LookupError("which one\n is missing"))) == "LookupError: which one is missing"
    assert error_text(ValueError()) == "ValueError"
