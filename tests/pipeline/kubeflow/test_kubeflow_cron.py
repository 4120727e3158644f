from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kubeflow.cron import six_fields
from trainer.base.errors import UserError

BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@pytest.mark.parametrize(
    ("five", "six"),
    [
        ("0 3 * * 1", "0 0 3 * * 1"),
        ("  5   0 1,15 * * ", "0 5 0 1,15 * *"),
        ("*/15 8-18/2 * JAN-jun mon-FRI", "0 */15 8-18/2 * 1-6 1-5"),
        ("00 03 * * 7", "0 0 3 * * 0"),
        ("0 3 * * 5-7", "0 0 3 * * 5,6,0"),
        ("0 3 * * 0-7/3", "0 0 3 * * 0,3,6"),
        ("0 3 29 2 *", "0 0 3 29 2 *"),
        ("0 3 31 2 1", "0 0 3 31 2 1"),
        ("0 3 31 */2 *", "0 0 3 31 */2 *"),
    ],
)
def test_five_fields_become_six(five: str, six: str) -> None:
    assert six_fields(five) == six


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "has five fields.*with 0"),
        ("0 0 3 * * 1", "has five fields.*with 6"),
        ("@weekly", "has five fields.*with 1"),
        ("60 3 * * 1", "the minute '60' is not one: it takes 0 to 59"),
        ("0 24 * * 1", "the hour '24'"),
        ("0 3 0 * 1", "the day of month '0'"),
        ("0 3 * 13 1", "the month '13'.*jan-dec"),
        ("0 3 * * 8", "the day of week '8'.*sun-sat"),
        ("0 3 * * mon-", "the day of week 'mon-'"),
        ("0 3 * * funday", "the day of week 'funday'"),
        ("a 3 * * 1", "the minute 'a'"),
        ("-5 3 * * 1", "the minute '-5'"),
        ("1,,2 3 * * 1", "the minute ''"),
        ("*/0 3 * * 1", "the minute '\\*/0'.*a step"),
        ("5/2 3 * * 1", "the minute '5/2'.*a step"),
        ("9-5 3 * * 1", "the minute '9-5'.*upwards"),
        ("٣ 3 * * 1", "the minute '٣'"),
        ("0 3 30 2 *", "the day of month '30' is in none of its months"),
        ("0 3 31 4,6 *", "the day of month '31' is in none of its months"),
    ],
)
def test_nonsense_is_refused_with_the_field_at_fault(line: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        six_fields(line)


@st.composite
def field(draw: st.DrawFn, least: int, most: int) -> str:
    low = draw(st.integers(least, most))
    high = draw(st.integers(low, most))
    return draw(
        st.sampled_from(["*", f"*/{high + 1}", f"{low}", f"{low}-{high}", f"{low}-{high}/2", f"{low},{high}"])
    )


@given(st.tuples(*(field(*bounds) for bounds in BOUNDS)))
def test_what_is_canonical_stays_as_it_is(fields: tuple[str, ...]) -> None:
    # A day of the week beside them keeps February 30 from being an error.
    line = " ".join((*fields[:4], "1"))
    assert six_fields(line) == f"0 {line}"


@given(st.text(alphabet="0123456789*/-, abcmonjul", max_size=20))
def test_any_text_gives_six_fields_or_a_refusal(text: str) -> None:
    with suppress(UserError):
        assert len(six_fields(text).split(" ")) == 6
