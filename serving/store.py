"""What the two kinds of model directory, local and in a bucket, have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

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

    def add(self, source: str, extra_files: Mapping[str, bytes]) -> Publication:
        """See `serving.model_store.publish`."""

    def add_again(self, version: int) -> Publication:
        """Publishes an existing version's content; see `serving.model_store.rollback`."""

    def remove(self, version: int) -> None:
        """See `serving.model_store.delete`; the version exists."""

    def labels(self) -> dict[str, int]:
        """Version by label."""

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """Replaces the labels by what `change` makes of them, and returns that; nobody's change is lost."""


def version_numbers(names: Iterable[str]) -> list[int]:
    """The integers among the names, ascending, as TensorFlow Serving reads them: no sign, no leading zero."""
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)
