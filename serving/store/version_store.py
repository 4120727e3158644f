"""The interface of a store of versions, which a local directory and a bucket implement."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from trainer.base.errors import UserError

GRAPH = "saved_model.pb"
"""Name of the file that makes a directory a version."""

NEEDED = (GRAPH, "variables/variables.index")
"""Files that a version must have. A version without the second one loads, and fails at its first request."""

LABELS = "labels.json"
"""Name of the file of labels, beside the versions. TensorFlow Serving looks at integer names only."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The result of a publish.

    Attributes:
        version: Number of the version that has the content.
        path: Directory of that version.
        created: False when the newest version had the same content already, and nothing was added.
    """

    version: int
    path: str
    created: bool


class Store(Protocol):
    """The versions of one model.

    Attributes:
        base: Directory of the versions, local or gs://.
    """

    base: str

    def exists(self) -> bool:
        """Whether the directory is there."""

    def versions(self) -> list[int]:
        """Returns the versions that hold a SavedModel, ascending; none when the directory does not exist."""

    def check_writable(self) -> None:
        """Checks that versions can be written, and leaves nothing behind.

        Raises:
            UserError: Nothing can be written.
        """

    def path(self, version: int) -> str:
        """Returns the address of a version."""

    def read(self, version: int, name: str) -> bytes | None:
        """Returns the content of a small file of a version; None when there is none."""

    def copy(self, version: int, target: str) -> None:
        """Copies a version's files without the manifest.

        Args:
            version: Number of the version.
            target: Existing, empty local directory.

        Raises:
            FileNotFoundError: The version was deleted meanwhile.
            UserError: The files are not those of the version's manifest.
        """

    def verify(self, version: int) -> None:
        """Compares every file of a version with its manifest.

        Raises:
            DamagedVersionError: There is no manifest, or a file is missing, changed or not listed.
        """

    def add(self, source: str, extra_files: Mapping[str, bytes]) -> Publication:
        """See `serving.store.model_store.publish`."""

    def add_again(self, version: int) -> Publication:
        """Publishes an existing version's content; see `serving.store.model_store.rollback`."""

    def remove(self, version: int) -> None:
        """Removes a version, which must exist; see `serving.store.model_store.delete`."""

    def labels(self) -> dict[str, int]:
        """Returns the version by its label."""

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """Changes the labels such that no change of another process is lost.

        Args:
            change: Turns the labels there are into the new ones; it may be called several times.

        Returns:
            The version by its label, for the new labels.
        """


_LARGEST = 2**63 - 1


def version_number(name: str) -> int | None:
    """Returns the version that a directory of this name holds, as TensorFlow Serving reads it; None for no version.

    The name must consist of decimal digits, with any zeros before them: `00000002` is version 2. The largest version is
    2^63 - 1.
    """
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 100 else _LARGEST + 1
    return number if number <= _LARGEST else None


def version_numbers(names: Iterable[str]) -> list[int]:
    """Returns the versions among some names, ascending."""
    return sorted({number for name in names if (number := version_number(name)) is not None})


def version_directories(names: Iterable[str], base: str) -> dict[int, str]:
    """Finds the directories of versions.

    Args:
        names: Names of directories.
        base: Directory that they are in, for the message.

    Returns:
        The name of the directory by its version.

    Raises:
        UserError: Two of them are the same version, such as `2` and `00000002`. TensorFlow Serving would serve the one
            that the file system happens to name last.
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
