"""Conditions of tasks, in the part of CEL into which TFX compiles `tfx.dsl.Cond`.

    inputs.artifacts['blessing'].artifacts[0].metadata['blessed'] == 1.0 && !(... < 'text')

Anything else is refused when the condition is read. Language: github.com/google/cel-spec, doc/langdef.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.errors import UserError

Artifacts = Mapping[str, Sequence[Mapping[str, Any]]]
"""Input key: its artifacts, each with `uri` and `metadata`."""

_Value = Callable[[Artifacts], Any]

_TOKEN = re.compile(
    r"""(?P<artifact>inputs\.artifacts\['(?P<key>[^']+)'\]\.artifacts\[(?P<index>\d+)\]
           (?:\.(?P<uri>uri)(?!\w)|\.metadata\['(?P<name>[^']+)'\]))
      | (?P<number>-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+))
      | '(?P<text>[^'\\]*)'
      | (?P<sign>&&|\|\||==|[<>!+()])
      | (?P<space>\s+)""",
    re.VERBOSE,
)


class ConditionError(Exception):
    """A condition that cannot be answered: an artifact or property is not there, or types do not go together."""


class Condition:
    """A condition, read.

    Args:
        text: CEL.

    Raises:
        UserError: If it is no CEL of the kind that TFX writes.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._value = self._any()
        if self._tokens:
            raise _not_understood(text, f"at {self._tokens[0][0]!r}")

    def holds(self, artifacts: Artifacts) -> bool:
        """Whether it is true for a task's inputs.

        Raises:
            ConditionError: If it cannot be answered; the backend's driver fails then, and is not tried again.
        """
        answer = self._value(artifacts)
        if not isinstance(answer, bool):
            raise ConditionError(f"the condition {self._text} is {answer!r}, neither true nor false")
        return answer

    def _any(self) -> _Value:
        return self._chain("||", lambda: self._chain("&&", self._comparison, _all), _some)

    def _comparison(self) -> _Value:
        left = self._sum()
        for sign in ("==", "<", ">"):
            if self._takes(sign):
                return _compared(sign, left, self._sum())
        return left

    def _sum(self) -> _Value:
        return self._chain("+", self._unary, _added)

    def _unary(self) -> _Value:
        if self._takes("!"):
            return _negated(self._unary())
        if self._takes("("):
            inner = self._any()
            if not self._takes(")"):
                raise _not_understood(self._text, "a parenthesis is not closed")
            return inner
        if not self._tokens or self._tokens[0][1] is None:
            raise _not_understood(self._text, "a value is missing")
        return self._tokens.pop(0)[1]

    def _chain(
        self, sign: str, part: Callable[[], _Value], join: Callable[[_Value, _Value], _Value]
    ) -> _Value:
        value = part()
        while self._takes(sign):
            value = join(value, part())
        return value

    def _takes(self, sign: str) -> bool:
        if self._tokens and self._tokens[0] == (sign, None):
            del self._tokens[0]
            return True
        return False


def _tokens(text: str) -> list[tuple[str, _Value | None]]:
    """Each token's text, and its value where it is one."""
    found: list[tuple[str, _Value | None]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _not_understood(text, f"at {text[place:]!r:.60}")
        place = match.end()
        if match["artifact"]:
            found.append((match[0], _looked_up(match["key"], int(match["index"]), match["name"])))
        elif match["number"]:
            found.append((match[0], _constant(float(match["number"]))))
        elif match["text"] is not None:
            found.append((match[0], _constant(match["text"])))
        elif match["sign"]:
            found.append((match[0], None))
    return found


def _not_understood(text: str, where: str) -> UserError:
    return UserError(f"the condition {text} is not understood, {where}: write it with tfx.dsl.Cond")


def _constant(value: float | str) -> _Value:
    return lambda _: value


def _looked_up(key: str, index: int, name: str | None) -> _Value:
    def value(artifacts: Artifacts) -> Any:
        try:
            artifact = artifacts[key][index]
            found = artifact["uri"] if name is None else artifact["metadata"][name]
        except (KeyError, IndexError):
            raise ConditionError(f"input {key} has no artifact {index} with {name or 'uri'}") from None
        return float(found) if isinstance(found, int) else found

    return value


def _compared(sign: str, left: _Value, right: _Value) -> _Value:
    def value(artifacts: Artifacts) -> bool:
        one, other = left(artifacts), right(artifacts)
        if sign == "==":
            return type(one) is type(other) and one == other
        if type(one) is not type(other) or not isinstance(one, float | str):
            raise ConditionError(f"{one!r} and {other!r} have no order")
        return one < other if sign == "<" else one > other

    return value


def _added(left: _Value, right: _Value) -> _Value:
    def value(artifacts: Artifacts) -> Any:
        one, other = left(artifacts), right(artifacts)
        if type(one) is not type(other) or not isinstance(one, float | str):
            raise ConditionError(f"{one!r} and {other!r} have no sum")
        return one + other

    return value


def _negated(inner: _Value) -> _Value:
    return lambda artifacts: not _truth(inner, artifacts)


def _all(left: _Value, right: _Value) -> _Value:
    return lambda artifacts: not _either(left, right, artifacts, False)


def _some(left: _Value, right: _Value) -> _Value:
    return lambda artifacts: _either(left, right, artifacts, True)


def _either(left: _Value, right: _Value, artifacts: Artifacts, decides: bool) -> bool:
    """Whether one of two is `decides`; if so, it does not matter that the other has no answer (CEL's logic)."""
    errors = []
    for side in (left, right):
        try:
            if _truth(side, artifacts) is decides:
                return True
        except ConditionError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return False


def _truth(value: _Value, artifacts: Artifacts) -> bool:
    found = value(artifacts)
    if not isinstance(found, bool):
        raise ConditionError(f"{found!r} is neither true nor false")
    return found
