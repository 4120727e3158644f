from contextlib import suppress

import pytest
from croniter import croniter
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
        ("*/15 8-18/2 * JAN-jun mon-FRI", "0 */15 8,10,12,14,16,18 * 1-6 1-5"),
        ("00 03 * * 7", "0 0 3 * * 0"),
        ("0 3 * * 5-7", "0 0 3 * * 0,5-6"),
        ("0 3 * * 0-7/3", "0 0 3 * * 0,3,6"),
        ("0 3 29 2 *", "0 0 3 29 2 *"),
        ("0 3 31 2 1", "0 0 3 31 2 1"),
        ("0 3 31 */2 *", "0 0 3 31 */2 *"),
        ("0 3 * * sat-mon", "0 0 3 * * 0-1,6"),
        ("50/2 3 * nov-feb *", "0 50,52,54,56,58 3 * 1-2,11-12 *"),
        ("0 3 1-31 2 1", "0 0 3 1-31 2 1"),
        ("0 3 * * 0-7", "0 0 3 * * 0-6"),
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
        ("1,,2 3 * * 1", "the minute '1,,2'"),
        ("*/0 3 * * 1", "the minute '\\*/0'.*steps such as"),
        ("0 3 l * *", "the day of month 'l'"),
        ("0 3 15W * *", "the day of month '15w'"),
        ("0 3 ? * 1", "the day of month '\\?'"),
        ("0 3 * * 1#2", "the day of week '1#2'"),
        ("H 3 * * 1", "the minute 'h'"),
        ("0 3 30 2 */2", "the day of month '30' is in none of its months"),
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
    high = draw(st.integers(min(low + 1, most), most))
    # Croniter takes 5-5 for all values.
    ranges = [f"{low}-{high}", f"{low}-{high}/2"] if low < high else []
    return draw(st.sampled_from(["*", f"*/{high + 1}", f"{low}", f"{low},{high}", *ranges]))


def test_a_range_of_one_is_that_one() -> None:
    assert six_fields("5-5 3 * 12-12/2 mon-mon") == "0 5 3 * 12 1"


@given(st.tuples(*(field(*bounds) for bounds in BOUNDS)))
def test_six_fields_mean_what_the_five_do(fields: tuple[str, ...]) -> None:
    # A day of the week beside them keeps February 30 from being an error.
    line = " ".join((*fields[:4], "1"))
    seconds, *others = six_fields(line).split(" ")
    assert (seconds, croniter.expand(" ".join(others))) == ("0", croniter.expand(line))
    assert six_fields(" ".join(others)) == " ".join((seconds, *others))


@given(st.text(alphabet="0123456789*/-, abcmonjul", max_size=20))
def test_any_text_gives_six_fields_or_a_refusal(text: str) -> None:
    with suppress(UserError):
        assert len(six_fields(text).split(" ")) == 6
