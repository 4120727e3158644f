"""The versioned directory that TensorFlow Serving and the embedded server read:
`<base>/<version>/saved_model.pb`.

Both serve the version with the largest number. A version appears at once and as a whole and is never changed
after that, so that a reader sees either all of it or nothing. The directory is a local one (`LocalStore`) or lies
in a bucket (`GcsStore`).
"""

import contextlib
import os
import posixpath
import tempfile
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from serving.store.local_store import LocalStore
from serving.store.manifest import MANIFEST, DamagedVersionError
from serving.store.version_store import GRAPH, NEEDED, Publication, Store
from trainer.base.addresses import check_address
from trainer.base.errors import UserError
from trainer.base.files import exists, is_local

WHOLE, DAMAGED, NO_MANIFEST = "whole", "damaged", "no manifest"
"""Of a version: its files are those of its manifest; they are not; nobody can tell."""


def open_store(base: str) -> Store:
    """The store of a model's versions; UserError for an address that cannot be."""
    check_address(base, "model directory")
    if is_local(base):
        return LocalStore(base)
    from serving.store.gcs_store import GcsStore  # a second, which local directories need not wait for

    return GcsStore(base)


def list_versions(base: str) -> list[int]:
    """Versions that hold a SavedModel, ascending; none when the directory does not exist."""
    return open_store(base).versions()


def latest_version(base: str) -> int | None:
    """The version that servers serve."""
    return max(list_versions(base), default=None)


def served_version(base: str) -> int:
    """The version that servers serve; UserError when there is none."""
    version = latest_version(base)
    if version is None:
        raise UserError(
            f"{base} has no model to serve: it needs a directory <version>/saved_model.pb. "
            "Push one there (yt8m run), or give another directory"
        )
    return version


def version_path(base: str, version: int) -> str:
    """Directory of a version; UserError, with the versions there are, when there is no such one."""
    store = open_store(base)
    _check_exists(store, version)
    return store.path(version)


def saved_model_path(directory: str) -> str:
    """The directory itself where it holds a SavedModel or no versions; otherwise the newest version's."""
    known = is_local(directory) or directory.startswith("gs:")
    if not known or os.path.isfile(os.path.join(directory, GRAPH)):
        return directory
    store = open_store(directory)
    version = max(store.versions(), default=None)
    return directory if version is None else store.path(version)


def whole_model_path(directory: str, version: int | None = None) -> str:
    """The SavedModel in a directory: the directory itself, or one of the versions in it, the newest unless said.

    Raises:
        UserError: If there is none.
    """
    path = saved_model_path(directory) if version is None else version_path(directory, version)
    if not exists(posixpath.join(path, GRAPH)):
        problem = "has no model" if exists(directory) else "does not exist"
        raise UserError(
            f"{directory} {problem}: give a directory with saved_model.pb, or with versions of one"
        )
    return path


def read_file(base: str, version: int, name: str) -> bytes | None:
    """A small file of a version, by its path in it; None when there is none."""
    return open_store(base).read(version, name)


@contextlib.contextmanager
def local_version(store: Store, version: int) -> Iterator[str]:
    """A local directory with a version's files: its own, or a copy that lasts as long as the block."""
    if isinstance(store, LocalStore):
        yield store.path(version)
        return
    with tempfile.TemporaryDirectory(prefix="yt8m-model-") as directory:
        store.copy(version, directory)
        yield directory


def publish(source: str, base: str, extra_files: Mapping[str, bytes] = MappingProxyType({})) -> Publication:
    """Makes a SavedModel directory the newest version of a model.

    A publish that dies at any moment leaves no version, and a later one removes what it left. Two publishers at
    once get a version each. Content equal to the newest version's is not added again.

    Args:
        source: Local directory with saved_model.pb and variables/.
        base: Directory of the model's versions, local or gs://; made when missing.
        extra_files: Content of further files by their path in the version, in place of the source's where it has
            them. They do not make the content another: a candidate that differs from the newest version in these
            alone is not added again.

    Raises:
        UserError: If `source` is not a whole SavedModel, or `base` cannot be written to.
    """
    store = open_store(base)
    for name in extra_files:
        if name in (*NEEDED, MANIFEST) or name != os.path.normpath(name) or name.startswith(("/", "..")):
            raise ValueError(f"an extra file needs a relative path of its own. Received: {name!r}")
    for name in NEEDED:
        path = os.path.join(source, name)
        if not os.path.isfile(path) or (name == GRAPH and not os.path.getsize(path)):
            raise UserError(
                f"{source} is not a whole SavedModel: it has no {name}. Give the directory of an export"
            )
    return store.add(source, extra_files)


def verify(store: Store, version: int) -> tuple[str, str]:
    """Reads all files of a version and holds them against its manifest.

    Returns:
        The state (WHOLE, DAMAGED or NO_MANIFEST) and what is wrong, which is empty for a whole version.
    """
    try:
        if store.read(version, MANIFEST) is None:
            return (
                NO_MANIFEST,
                f"{store.path(version)} has no {MANIFEST}: it was put there by other means than ours",
            )
        store.verify(version)
    except DamagedVersionError as error:
        return DAMAGED, str(error)
    except OSError as error:
        return DAMAGED, f"{store.path(version)} cannot be read ({error.strerror or error})"
    return WHOLE, ""


def rollback(base: str, to: int) -> Publication:
    """Serves an earlier version again, by publishing its content as a new, newest version.

    Servers take the largest number and are told nothing, so the way back is forward: deleting the bad
    versions would lose what was served when, would end where somebody else publishes meanwhile, and a server
    that once failed to load a number never tries that number again. Going back from 7 to 5 makes 8 with the
    files of 5 (as hard links, or copied within the bucket); another rollback, to 7, undoes it.

    Args:
        base: Directory of the model's versions.
        to: The version whose content is to be served.

    Raises:
        UserError: If there is no such version, or its files are not those in its manifest.
    """
    store = open_store(base)
    _check_exists(store, to)
    return store.add_again(to)


def delete(base: str, version: int, force: bool = False) -> None:
    """Removes a version; a reader sees it go at once.

    Args:
        base: Directory of the model's versions.
        version: To be removed.
        force: Also when it is the newest, the one that servers serve. Its number is not used again.

    Raises:
        UserError: If there is no such version, it has a label, or it is the newest and `force` is not given.
    """
    store = open_store(base)
    versions = _check_exists(store, version)
    labels = [name for name, labelled in store.labels().items() if labelled == version]
    if labels:
        raise UserError(
            f"version {version} of {base} has the label {labels[0]}: move or remove it first (yt8m models label)"
        )
    if version == max(versions) and not force:
        raise UserError(
            f"version {version} of {base} is the newest, which servers serve: roll back to another first, or force it"
        )
    store.remove(version)


def list_labels(base: str) -> dict[str, int]:
    """Version by label; servers also serve the versions that have one."""
    return open_store(base).labels()


def label(base: str, moves: Mapping[str, int], remove: Collection[str] = ()) -> dict[str, int]:
    """Points labels to versions.

    Args:
        base: Directory of the model's versions.
        moves: Version by label, for labels that are new or change.
        remove: Labels to take away.

    Returns:
        All labels afterwards.

    Raises:
        UserError: If a label is to point to no version, or one to be taken away is not there; nothing is changed.
    """
    store = open_store(base)

    def change(labels: dict[str, int]) -> dict[str, int]:
        for version in moves.values():
            _check_exists(store, version)
        for name in remove:
            if name not in labels:
                known = ", ".join(sorted(labels)) or "none"
                raise UserError(f"{base} has no label {name} to remove; labels there: {known}")
        return {name: version for name, version in {**labels, **moves}.items() if name not in remove}

    return store.change_labels(change)


def _check_exists(store: Store, version: int) -> list[int]:
    versions = store.versions()
    if version not in versions:
        there = f"it has {', '.join(map(str, versions))}" if versions else "it has no version at all"
        raise UserError(f"{store.base} has no version {version}: {there}")
    return versions
