"""What the two kinds of model directory, local and in a bucket, have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from trainer.base.errors import UserError

GRAPH = "saved_model.pb"
"""The file that makes a directory a version."""

NEEDED = (GRAPH, "variables/variables.index")
"""A version without the second loads as available and fails at its first request, so it must not get out."""

LABELS = "labels.json"
"""Beside the versions: version by label. TensorFlow Serving looks at integer names only."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a publish did.

    Attributes:
        version: Holds the content given.
        path: Its directory.
        created: False when the newest version held the very same content already, and nothing was added.
    """

    version: int
    path: str
    created: bool


class Store(Protocol):
    """The versions of one model.

    Attributes:
        base: Their directory.
    """

    base: str

    def exists(self) -> bool:
        """Whether there is such a directory."""

    def versions(self) -> list[int]:
        """Those that hold a SavedModel, ascending; none when the directory does not exist."""

    def check_writable(self) -> None:
        """UserError when nothing can be written there; leaves nothing behind."""

    def path(self, version: int) -> str:
        """Address of a version."""

    def read(self, version: int, name: str) -> bytes | None:
        """A small file of a version; None when there is none."""

    def copy(self, version: int, target: str) -> None:
        """Fills an empty local directory with a version's files, the manifest left out.

        Raises:
            FileNotFoundError: If the version is deleted meanwhile.
            UserError: If it is not what was published (where that can be anything else).
        """

    def verify(self, version: int) -> None:
        """Compares every file of a version with its manifest.

        Raises:
            DamagedVersionError: If there is no manifest, or a file is missing, changed or not listed.
        """

    def add(self, source: str, extra_files: Mapping[str, bytes]) -> Publication:
        """See `serving.store.model_store.publish`."""

    def add_again(self, version: int) -> Publication:
        """Publishes an existing version's content; see `serving.store.model_store.rollback`."""

    def remove(self, version: int) -> None:
        """See `serving.store.model_store.delete`; the version exists."""

    def labels(self) -> dict[str, int]:
        """Version by label."""

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """Replaces the labels by what `change` makes of them, and returns that; nobody's change is lost."""


_LARGEST = 2**63 - 1


def version_number(name: str) -> int | None:
    """The version that a directory of this name holds, as TensorFlow Serving reads it: decimal digits, with any zeros
    before them (`00000002` is version 2), up to 2^63 - 1. None for other names, which hold no version."""
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 100 else _LARGEST + 1
    return number if number <= _LARGEST else None


def version_numbers(names: Iterable[str]) -> list[int]:
    """The versions among the names, ascending."""
    return sorted({number for name in names if (number := version_number(name)) is not None})


def version_directories(names: Iterable[str], base: str) -> dict[int, str]:
    """Name by version, of the directories that hold a version.

    Raises:
        UserError: If two of them are the same version, such as `2` and `00000002`. TensorFlow Serving would serve
            either, whichever the file system happens to name last.
    """
    directories: dict[int, str] = {}
    for name in sorted(names):
        number = version_number(name)
        if number is None:
            continue
        if number in directories:
            raise UserError(
                f"{base} has version {number} twice, in {directories[number]} and in {name}, and nobody can tell which "
                "one a server takes: remove or rename one of the two directories"
            )
        directories[number] = name
    return directories
