import pytest

from pipeline.rehearsal.conditions import Condition, ConditionError
from trainer.errors import UserError

BLESSED = "inputs.artifacts['blessing'].artifacts[0].metadata['blessed']"
ROUNDS = "inputs.artifacts['model'].artifacts[0].metadata['rounds']"
MISSING = "inputs.artifacts['model'].artifacts[0].metadata['no']"
URI = "inputs.artifacts['model'].artifacts[0].uri"
ARTIFACTS = {
    "blessing": [{"uri": "/place/blessing", "metadata": {"blessed": 1.0, "by": "evaluator"}}],
    "model": [{"uri": "/place/model", "metadata": {"rounds": 3}}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"({BLESSED} == 1.0)", True),
        (f"{BLESSED} == 0.0", False),
        (f"({ROUNDS} < 3.5) && ({BLESSED} == 1.0)", True),
        (f"({ROUNDS} > 3.5) || ({BLESSED} == 1.0)", True),
        (f"!(({ROUNDS} > -1e+16))", False),
        (f"!!({ROUNDS} > 3e-05)", True),
        ("(inputs.artifacts['blessing'].artifacts[0].metadata['by'] == 'evaluator')", True),
        (f"({URI} == ('/place' + '/model'))", True),
        # && before ||, the comparison before both.
        (f"{BLESSED} == 1.0 || {BLESSED} == 1.0 && {BLESSED} == 0.0", True),
        (f"({BLESSED} == 1.0 || {BLESSED} == 1.0) && {BLESSED} == 0.0", False),
        # Different types are not equal.
        (f"{BLESSED} == '1.0'", False),
        # What decides decides, whatever is wrong with the other side.
        (f"{MISSING} == 1.0 || {BLESSED} == 1.0", True),
        (f"{MISSING} == 1.0 && {BLESSED} == 0.0", False),
    ],
)
def test_answers(text: str, expected: bool) -> None:
    assert Condition(text).holds(ARTIFACTS) is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{MISSING} == 1.0", "input model has no artifact 0 with no"),
        (f"{MISSING} == 1.0 && {BLESSED} == 1.0", "input model has no artifact 0 with no"),
        ("inputs.artifacts['none'].artifacts[0].uri == 'x'", "input none has no artifact 0 with uri"),
        ("inputs.artifacts['model'].artifacts[1].uri == 'x'", "input model has no artifact 1 with uri"),
        (f"{BLESSED} < 'x'", "1.0 and 'x' have no order"),
        (f"({BLESSED} + 'x') == 'x'", "1.0 and 'x' have no sum"),
        (BLESSED, "neither true nor false"),
        (f"!({BLESSED})", "1.0 is neither true nor false"),
        (f"{BLESSED} && {BLESSED} == 1.0", "1.0 is neither true nor false"),
    ],
)
def test_no_answer(text: str, reason: str) -> None:
    with pytest.raises(ConditionError, match=reason):
        Condition(text).holds(ARTIFACTS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        f"{BLESSED} == 1",
        f"{BLESSED} >= 1.0",
        f"{BLESSED} == 1.0 &&",
        f"({BLESSED} == 1.0",
        f"{BLESSED} == 1.0)",
        f"{BLESSED} == 1.0 == 1.0",
        f"{BLESSED} 1.0",
        "inputs.artifacts['model'].artifacts[0].metadata == 1.0",
        "inputs.artifacts['model'].artifacts[0].urine == 'x'",
        "inputs.parameter_values['x'] == 'x'",
        "has(inputs.artifacts)",
        r"'it\'s' == 'x'",
        "Unknown Comparison Operation 7",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not understood.*tfx\.dsl\.Cond"):
        Condition(text)
