"""Cron lines: users write the usual five fields, Kubeflow Pipelines reads six, of which the first is the seconds."""

import datetime
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from trainer.base.errors import UserError


class _Field(NamedTuple):
    name: str
    values: str
    whole_range: str


_FIELDS = (
    _Field("minute", "0 to 59", "0-59"),
    _Field("hour", "0 to 23", "0-23"),
    _Field("day of month", "1 to 31", "1-31"),
    _Field("month", "1 to 12, or jan-dec", "1-12"),
    _Field("day of week", "0 to 7, or sun-sat", "0-6"),
)

_PART = re.compile(r"(\*|(\d+|[a-z]{3})(-(\d+|[a-z]{3}))?)(/\d+)?", flags=re.ASCII)
"""One part of a field. Croniter also reads marks such as L, W, # and ?, which the backend's scheduler does not."""

_LEAP_YEAR = datetime.datetime(2024, 1, 1)


def six_fields(line: str) -> str:
    """Converts a cron line of five fields to the six fields that the backend's scheduler reads.

    The scheduler would take five fields for second, minute, hour, day of month and month, without a word. Its parser
    (robfig/cron) does not know Sunday as 7, nor ranges that go over the end, such as sat-mon: numbers take their place.

    Args:
        line: Minute, hour, day of month, month and day of week, each of them `*`, numbers or names, ranges, lists, or
            steps such as `*/15`.

    Raises:
        UserError: If a field is wrong, which the message names, or if the line never comes true, as February 30.

    >>> six_fields("0 3 * * 1")
    '0 0 3 * * 1'
    >>> six_fields("*/30 8-18 * jan-jun FRI,7")
    '0 */30 8-18 * 1-6 0,5'
    """
    texts = line.lower().split()
    if len(texts) != len(_FIELDS):
        raise UserError(
            f"a cron line has five fields, minute, hour, day of month, month and day of week, such as '0 3 * * 1' for "
            f"Mondays at 3:00. Received: {line!r}, with {len(texts)}"
        )
    fields = [_converted(place, text, line) for place, text in enumerate(texts)]
    try:
        # With the "bug" a day of week that begins with * does not make up for a day of month, as in the backend.
        croniter(" ".join(fields), _LEAP_YEAR, implement_cron_bug=True).get_next()
    except CroniterBadDateError:
        raise UserError(
            f"cron {line!r}: the day of month {texts[2]!r} is in none of its months; the run would never start"
        ) from None
    return " ".join(["0", *fields])


def _converted(place: int, text: str, line: str) -> str:
    """Converts one field, of which `place` is the number from 0 on, to numbers that the scheduler knows."""
    field = _FIELDS[place]
    parts = text.split(",")
    for index, found in enumerate(map(_PART.fullmatch, parts)):
        # Croniter would take 9-5 for a range over the end, and 5-5 for all values.
        if found and (last := found[4]) and _is_downward(found[2], last):
            raise UserError(f"cron {line!r}: the {field.name} {text!r} is not one: a range goes upwards")
        if found and found[4] == found[2] is not None:
            parts[index] = found[2]
    alone = ["*"] * len(_FIELDS)
    alone[place] = ",".join(parts)
    try:
        if not all(map(_PART.fullmatch, parts)):
            raise CroniterBadCronError(text)
        numbers = croniter.expand(" ".join(alone))[0][place]
    except CroniterBadCronError:
        raise UserError(
            f"cron {line!r}: the {field.name} {text!r} is not one: it takes {field.values}, *, lists, ranges, and "
            "steps such as */2"
        ) from None
    if text.startswith("*") and len(parts) == 1:
        return text
    # A day of month that is 1-31 is another thing than *, where there is a day of week, too.
    return field.whole_range if numbers == ["*"] else _as_ranges(numbers)


def _is_downward(first: str, last: str) -> bool:
    return first.isdecimal() and last.isdecimal() and int(first) > int(last)


def _as_ranges(numbers: Sequence[int]) -> str:
    """Writes ascending numbers as a list of numbers and ranges: 1, 2, 3 and 7 are `1-3,7`."""
    runs = [
        [number for _, number in run]
        for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
