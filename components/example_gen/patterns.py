"""File patterns in the form that TFX's file-based driver takes: one base directory, and patterns below it."""

import os
import posixpath
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from trainer.base.errors import UserError
from trainer.base.files import is_local


class InputPatterns(NamedTuple):
    """A base directory and the patterns relative to it."""

    base: str
    train: tuple[str, ...]
    validate: tuple[str, ...]
    holdout: tuple[str, ...] = ()

    def by_kind(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Returns the patterns by what their files are for: train, validate, holdout."""
        return ("train", self.train), ("validate", self.validate), ("holdout", self.holdout)


def relative_patterns(
    train: Sequence[str], validate: Sequence[str], holdout: Sequence[str] = ()
) -> InputPatterns:
    """Divides patterns into the longest directory without wildcards that all share, and what follows it.

    Local patterns become absolute, so that the same files have the same fingerprint from wherever the run is
    started.

    Args:
        train: Patterns of files that are all trained on; may be empty.
        validate: Patterns of files of which a few become the eval split; at least one.
        holdout: Patterns of files that are the holdout; may be empty.

    Raises:
        UserError: If there is no validate pattern, a pattern is empty, or two lie in different buckets.
    """
    if not validate:
        raise UserError("data needs at least one validate pattern: the eval split is drawn from those files")
    absolute = [_absolute(pattern) for pattern in (*train, *validate, *holdout)]
    roots = {_root(pattern) for pattern in absolute}
    if len(roots) > 1:
        raise UserError(
            f"data patterns lie in different places ({', '.join(sorted(roots))}); copy the files into one"
        )
    directories = [_plain_directory(pattern) for pattern in absolute]
    base = directories[0]
    while not all(
        directory == base or directory.startswith(base.rstrip("/") + "/") for directory in directories
    ):
        base = posixpath.dirname(base)
    relative = iter([pattern[len(base) :].lstrip("/") for pattern in absolute])
    parts = (tuple(islice(relative, len(patterns))) for patterns in (train, validate, holdout))
    return InputPatterns(base, *parts)


def _absolute(pattern: str) -> str:
    if not pattern:
        raise UserError("a data pattern is empty; write a path such as data/validate*.tfrecord")
    return os.path.abspath(pattern) if is_local(pattern) else pattern


def _root(pattern: str) -> str:
    """The bucket that a pattern lies in, or / for local files."""
    if is_local(pattern):
        return "/"
    scheme, rest = pattern.split("://", 1)
    return f"{scheme}://{rest.split('/', 1)[0]}"


def _plain_directory(pattern: str) -> str:
    """The directory part before the first wildcard or {SPAN}."""
    first = min((pattern.index(mark) for mark in "*?[{" if mark in pattern), default=len(pattern))
    return posixpath.dirname(pattern[:first])
