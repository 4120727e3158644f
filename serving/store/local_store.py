"""The versions of a model in a local directory."""

import errno
import os
import shutil
from collections.abc import Callable, Mapping

from serving.store.manifest import (
    MANIFEST,
    check_digests,
    check_manifest,
    encode_manifest,
    read_manifest,
    same_content,
)
from serving.store.staging import (
    copy_tree,
    remove_leftovers,
    staging_directory,
    write_file,
)
from serving.store.version_labels import decode_labels, encode_labels
from serving.store.version_store import (
    GRAPH,
    LABELS,
    Publication,
    version_directories,
    version_number,
    version_numbers,
)
from trainer.base.directories import write_problem
from trainer.base.directory_lock import locked_directory
from trainer.base.errors import UserError
from trainer.base.files import sync_path

_RETIRED = ".retired-"
"""The file `.retired-<n>` marks the number of a deleted newest version, which must not come back with other content."""


class LocalStore:
    """A `serving.store.version_store.Store` in a local directory.

    A version is built in `<base>/.tmp-<id>`, where every file is synced to the disk and a manifest is written; then the
    directory is renamed to the next number.

    Args:
        base: Directory of the versions.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    def exists(self) -> bool:
        """Whether the directory is there."""
        return os.path.isdir(self.base)

    def check_writable(self) -> None:
        """See `serving.store.version_store.Store`."""
        if problem := write_problem(self.base):
            raise UserError(f"{problem}; give another directory")

    def versions(self) -> list[int]:
        """Returns the versions that hold a SavedModel, ascending; none when the directory does not exist."""
        return sorted(self._directories())

    def path(self, version: int) -> str:
        """Returns the directory of a version."""
        return os.path.join(self.base, self._directories().get(version, str(version)))

    def read(self, version: int, name: str) -> bytes | None:
        """Returns the content of a file of a version; None when there is none."""
        return _content(os.path.join(self.path(version), name))

    def copy(self, version: int, target: str) -> None:
        """Fills a directory with a version's files, as hard links where possible, since they never change.

        They are verified by the manifest where there is one.
        """
        digests = copy_tree(self.path(version), target, link=True)
        manifest = read_manifest(self.path(version))
        os.stat(os.path.join(self.path(version), GRAPH))  # FileNotFoundError: it was deleted meanwhile
        if manifest is not None:
            # Files that somebody added to a version do not change what was published.
            listed = {name: digest for name, digest in digests.items() if name in manifest}
            check_digests(manifest, listed, self.path(version))

    def verify(self, version: int) -> None:
        """See `serving.store.version_store.Store`."""
        check_manifest(self.path(version))

    def add(self, source: str, extra_files: Mapping[str, bytes]) -> Publication:
        """See `serving.store.model_store.publish`."""
        return self._add(source, extra_files, link=False)

    def add_again(self, version: int) -> Publication:
        """See `serving.store.model_store.rollback`."""
        if read_manifest(self.path(version)) is not None:
            self.verify(version)
        return self._add(self.path(version), {}, link=True)

    def remove(self, version: int) -> None:
        """See `serving.store.model_store.delete`."""
        if version == max(self._numbers()):
            with open(os.path.join(self.base, f"{_RETIRED}{version}"), "w", encoding="utf-8"):
                pass
        with staging_directory(self.base) as grave:
            os.rename(self.path(version), os.path.join(grave, str(version)))
            sync_path(self.base)

    def labels(self) -> dict[str, int]:
        """Returns the version by its label."""
        path = os.path.join(self.base, LABELS)
        return decode_labels(_content(path), path)

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """See `serving.store.version_store.Store`. The file is replaced by one rename."""
        with locked_directory(self.base), staging_directory(self.base) as stage:
            labels = change(self.labels())
            write_file(os.path.join(stage, LABELS), encode_labels(labels))
            os.replace(os.path.join(stage, LABELS), os.path.join(self.base, LABELS))
            sync_path(self.base)
        return labels

    def _add(self, source: str, extra_files: Mapping[str, bytes], link: bool) -> Publication:
        os.makedirs(self.base, exist_ok=True)
        remove_leftovers(self.base)
        with staging_directory(self.base) as stage:
            digests = copy_tree(source, stage, extra_files, link)
            write_file(os.path.join(stage, MANIFEST), encode_manifest(digests))
            sync_path(stage)
            while True:
                latest = max(self.versions(), default=None)
                if latest is not None and same_content(
                    read_manifest(self.path(latest)), digests, extra_files.keys()
                ):
                    return Publication(version=latest, path=self.path(latest), created=False)
                version = max((*self._numbers(), *self._numbers(_RETIRED)), default=0) + 1
                try:
                    os.rename(stage, self.path(version))
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    continue  # another publisher took the number meanwhile
                sync_path(self.base)
                self._forget_retired(version)
                return Publication(version=version, path=self.path(version), created=True)

    def _directories(self) -> dict[int, str]:
        """Returns the directories that hold a SavedModel, their names by version."""
        with_graph = (name for name in self._names() if os.path.isfile(os.path.join(self.base, name, GRAPH)))
        return version_directories(with_graph, self.base)

    def _numbers(self, prefix: str = "") -> list[int]:
        """Returns the integers n, ascending, for which `<base>/<prefix><n>` exists."""
        return version_numbers(name.removeprefix(prefix) for name in self._names(prefix))

    def _names(self, prefix: str = "") -> list[str]:
        if not os.path.isdir(self.base):
            return []
        return [name for name in os.listdir(self.base) if name.startswith(prefix)]

    def _forget_retired(self, newest: int) -> None:
        """Removes the marks below an existing version, which are of no use any more."""
        for name in self._names(_RETIRED):
            number = version_number(name.removeprefix(_RETIRED))
            if number is not None and number < newest:
                path = os.path.join(self.base, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
