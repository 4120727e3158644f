"""The versions of a model, as TensorFlow Serving and the embedded server read them: `<base>/<version>/saved_model.pb`.

Both servers serve the version with the largest number. A version appears as a whole and is never changed after that, so
that a reader sees all of it or nothing. The directory is a local one (`LocalStore`) or lies in a bucket (`GcsStore`).
"""

import contextlib
import glob
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
"""States of a version: its files are those of its manifest; they are not; there is no manifest to tell."""


def open_store(base: str) -> Store:
    """Opens the store of a model's versions.

    Args:
        base: Directory of the versions, local or gs://; it need not exist.

    Raises:
        UserError: The address is invalid.
    """
    check_address(base, "model directory")
    if is_local(base):
        return LocalStore(base)
    from serving.store.gcs_store import GcsStore  # a second, which local directories need not wait for

    return GcsStore(base)


def list_versions(base: str) -> list[int]:
    """Returns the versions that hold a SavedModel, ascending; none when the directory does not exist."""
    return open_store(base).versions()


def latest_version(base: str) -> int | None:
    """Returns the version that servers serve; None when there is none."""
    return max(list_versions(base), default=None)


def served_version(base: str) -> int:
    """Returns the version that servers serve.

    Raises:
        UserError: There is no version.
    """
    version = latest_version(base)
    if version is None:
        if is_local(base) and exists(posixpath.join(base, GRAPH)):
            raise UserError(f"{base} is a model itself: give the directory that its versions are in")
        problem = "does not exist" if is_local(base) and not exists(base) else "has no model to serve"
        raise UserError(
            f"{base} {problem}: it needs a directory <version>/saved_model.pb. "
            f"Push one there (yt8m run), or give another directory{versions_below(base)}"
        )
    return version


def versions_below(base: str) -> str:
    """Returns the hint that a local directory's subdirectories have versions: whoever gives it means one of them.

    Empty where none has.
    """
    graphs = glob.glob(f"{glob.escape(base)}/*/[0-9]*/{GRAPH}") if is_local(base) else []
    homes = sorted({os.path.dirname(os.path.dirname(one)) for one in graphs})
    return f"; versions are in {', '.join(homes[:3])}" if homes else ""


def version_path(base: str, version: int) -> str:
    """Returns the directory of a version.

    Raises:
        UserError: There is no such version; the message has those that there are.
    """
    store = open_store(base)
    _check_exists(store, version)
    return store.path(version)


def saved_model_path(directory: str) -> str:
    """Returns the directory itself where it holds a SavedModel or no versions, else that of the newest version.

    Raises:
        UserError: The address is invalid, or of a kind that nothing here reads.
    """
    check_address(directory, "model", any_scheme=True)
    known = is_local(directory) or directory.startswith("gs:")
    if not known or os.path.isfile(os.path.join(directory, GRAPH)):
        return directory
    store = open_store(directory)
    version = max(store.versions(), default=None)
    return directory if version is None else store.path(version)


def whole_model_path(directory: str, version: int | None = None) -> str:
    """Returns the directory of the SavedModel in a directory.

    Args:
        directory: Directory of a SavedModel, or of versions of one.
        version: Number of the version; None for the directory itself or the newest version in it.

    Raises:
        UserError: There is no such model.
    """
    path = saved_model_path(directory) if version is None else version_path(directory, version)
    if not exists(posixpath.join(path, GRAPH)):
        problem = "has no model" if exists(directory) else "does not exist"
        raise UserError(
            f"{directory} {problem}: give a directory with saved_model.pb, or with versions of one"
        )
    return path


def read_file(base: str, version: int, name: str) -> bytes | None:
    """Returns the content of a small file of a version; None when there is none.

    Args:
        base: Directory of the model's versions.
        version: Number of the version.
        name: Path of the file in the version.
    """
    return open_store(base).read(version, name)


@contextlib.contextmanager
def local_version(store: Store, version: int) -> Iterator[str]:
    """Gives a local directory with a version's files: the version itself, or a copy that lasts as long as the block."""
    if isinstance(store, LocalStore):
        yield store.path(version)
        return
    with tempfile.TemporaryDirectory(prefix="yt8m-model-") as directory:
        store.copy(version, directory)
        yield directory


def publish(source: str, base: str, extra_files: Mapping[str, bytes] = MappingProxyType({})) -> Publication:
    """Makes a SavedModel directory the newest version of a model.

    A publisher that is killed at any moment leaves no version, and a later one removes what it left. Two publishers at
    the same time get a version each. Content that is equal to the newest version's is not added again.

    Args:
        source: Local directory with saved_model.pb and variables/.
        base: Directory of the model's versions, local or gs://; made when missing.
        extra_files: Content of further files by their path in the version; they replace files of `source`. They do not
            count as content: a model that differs from the newest version in them alone is not added again.

    Raises:
        UserError: `source` is not a whole SavedModel, or `base` cannot be written to.
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
    """Reads all files of a version and compares them with its manifest.

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

    Going back from 7 to 5 makes 8 with the files of 5 (as hard links, or copied within the bucket); a rollback to 7
    undoes it. Servers serve the largest number. Deleting the bad versions instead would lose the record of what was
    served when and would not work while somebody else publishes, and a server that once failed to load a number never
    tries it again.

    Args:
        base: Directory of the model's versions.
        to: The version whose content is to be served.

    Raises:
        UserError: There is no such version, or its files are not those of its manifest.
    """
    store = open_store(base)
    _check_exists(store, to)
    return store.add_again(to)


def delete(base: str, version: int, force: bool = False) -> None:
    """Removes a version. For a reader it is gone at once and as a whole.

    Args:
        base: Directory of the model's versions.
        version: Number of the version.
        force: Whether to remove it even if it is the newest, which servers serve. Its number is not used again.

    Raises:
        UserError: There is no such version, it has a label, or it is the newest and `force` is not given.
    """
    store = open_store(base)
    versions = _check_exists(store, version)
    labels = [name for name, labelled in store.labels().items() if labelled == version]
    if labels:
        raise UserError(
            f"version {version} of {base} has the label {labels[0]}: move or remove it first (yt8m models label)"
        )
    if version == max(versions) and not force:
        first = "roll back to another" if len(versions) > 1 else "push another one"
        raise UserError(
            f"version {version} of {base} is the newest, which servers serve: {first} first, or force it"
        )
    store.remove(version)


def label(base: str, moves: Mapping[str, int], remove: Collection[str] = ()) -> dict[str, int]:
    """Points labels to versions.

    Args:
        base: Directory of the model's versions.
        moves: Version by its label, for labels that are new or change.
        remove: Labels to remove.

    Returns:
        The version by its label, for all labels afterwards.

    Raises:
        UserError: A version or a label to remove is not there. Then nothing is changed.
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
        raise UserError(f"{store.base} has no version {version}: {there}{versions_below(store.base)}")
    return versions
