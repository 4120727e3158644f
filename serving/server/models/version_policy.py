"""Chooses which of a model's versions are served."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class VersionPolicy:
    """The latest versions, specific ones, or all: TensorFlow Serving's three policies.

    Attributes:
        latest: Number of the newest versions that are served.
        specific: Numbers of the versions that are served, instead of the newest; empty for none.
        everything: Whether all versions are served.
    """

    latest: int = 1
    specific: tuple[int, ...] = ()
    everything: bool = False

    @classmethod
    def parse(cls, text: str) -> "VersionPolicy":
        """Reads `latest`, `latest:2`, `all`, or numbers such as `3,5`; raises UserError for anything else."""
        kind, _, count = text.partition(":")
        if text == "all":
            return cls(everything=True)
        if kind == "latest" and (not count or (count.isdecimal() and int(count))):
            return cls(latest=int(count or 1))
        numbers = text.split(",")
        if all(number.isdecimal() for number in numbers):
            return cls(specific=tuple(map(int, numbers)))
        raise UserError(f"versions are latest, latest:2, all, or numbers such as 3,5. Received: {text}")

    def choose(self, versions: Sequence[int]) -> list[int]:
        """Returns the versions to be served, newest first, of those that there are."""
        newest_first = sorted(versions, reverse=True)
        if self.everything:
            return newest_first
        if self.specific:
            return [version for version in newest_first if version in self.specific]
        return newest_first[: self.latest]
