"""Cron lines: the usual five fields from the user, six for Kubeflow Pipelines, which begins with the seconds."""

import re
from typing import NamedTuple

from trainer.base.errors import UserError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: dict[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    _Field("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)


def six_fields(line: str) -> str:
    """The line as the backend's scheduler reads it: with a field of seconds before the five.

    It would read five fields as second, minute, hour, day of month and month, and say nothing. Names become numbers,
    and Sunday is 0, since its parser (robfig/cron) does not know 7.

    Args:
        line: Minute, hour, day of month, month, day of week; each `*`, numbers or names, ranges, lists, `/step`.

    Raises:
        UserError: If it is no such line, with the field at fault, or if it names a day that no year has.

    >>> six_fields("0 3 * * 1")
    '0 0 3 * * 1'
    >>> six_fields("*/30 8-18 * jan-jun FRI,7")
    '0 */30 8-18 * 1-6 5,0'
    """
    texts = line.split()
    if len(texts) != len(_FIELDS):
        raise UserError(
            f"a cron line has five fields, minute, hour, day of month, month and day of week, such as '0 3 * * 1' for "
            f"Mondays at 3:00. Received: {line!r}, with {len(texts)}"
        )
    fields = [_canonical(field, text, line) for field, text in zip(_FIELDS, texts, strict=True)]
    _check_some_day(fields, line)
    return " ".join(["0", *fields])


def _canonical(field: _Field, text: str, line: str) -> str:
    return ",".join(_part(field, part, line) for part in text.lower().split(","))


def _part(field: _Field, text: str, line: str) -> str:
    """One element of a list: `*`, `a` or `a-b`, the first and the last with `/step` if need be."""
    found = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/(\w+))?", text, flags=re.ASCII)
    if not found:
        raise _wrong(field, text, line)
    span, first, last, step = found.groups()
    if step is not None and (not step.isdecimal() or int(step) == 0 or (span != "*" and last is None)):
        raise _wrong(field, text, line, "a step is */n or a-b/n, n from 1 on")
    suffix = "" if step is None else f"/{int(step)}"
    if span == "*":
        return f"*{suffix}"
    low = _number(field, first, line)
    if last is None:
        return str(low % 7 if field.most == 7 else low)
    high = _number(field, last, line)
    if low > high:
        raise _wrong(field, text, line, "a range goes upwards")
    if field.most == 7 and high == 7:
        return _days_to_sunday(low, int(step or 1))
    return f"{low}-{high}{suffix}"


def _days_to_sunday(low: int, step: int) -> str:
    return ",".join(str(day % 7) for day in range(low, 8, step))


def _number(field: _Field, text: str, line: str) -> int:
    number = int(text) if text.isdecimal() else field.names.get(text)
    if number is None or not field.least <= number <= field.most:
        raise _wrong(field, text, line)
    return number


def _wrong(field: _Field, text: str, line: str, rule: str = "") -> UserError:
    names = f", or {'-'.join((*field.names,)[:: len(field.names) - 1])}" if field.names else ""
    rule = rule or f"it takes {field.least} to {field.most}{names}, *, lists, ranges, and steps such as */2"
    return UserError(f"cron {line!r}: the {field.name} {text!r} is not one: {rule}")


def _check_some_day(fields: list[str], line: str) -> None:
    """Refuses days that no year has, such as February 30; a day of the week beside it makes up for that."""
    _, _, days, months, weekdays = fields
    if days.startswith("*") or not weekdays.startswith("*"):
        return
    first = min(int(part.partition("-")[0]) for part in days.split(","))
    if all(first > _LONGEST[month - 1] for month in _numbers(_FIELDS[3], months)):
        raise UserError(
            f"cron {line!r}: the day of month {days!r} is in none of its months; the run would never start"
        )


def _numbers(field: _Field, text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            low, high = str(field.least), str(field.most)
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return found
