from pipeline.user_errors import error_text, unreached_bucket


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


def test_a_bucket_that_gives_no_answer_is_named() -> None:
    """The text is TensorFlow's."""
    assert unreached_bucket(
        "FailedPreconditionError: Error executing an HTTP request: libcurl code 6 meaning 'Couldn't resolve host name'"
        ", error details: Could not resolve host: www.googleapis.com when reading gs://my-bucket/"
    ) == (
        "gs://my-bucket/ cannot be reached: Could not resolve host: www.googleapis.com; check the address, the network,"
        " and that you may use the bucket (gcloud auth application-default login)"
    )
    assert unreached_bucket("ValueError: gs://my-bucket") is None
