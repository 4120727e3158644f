"""A copy of the model that is served now, and whether a candidate can be compared with it."""

import os
import shutil

from serving.store.manifest import MANIFEST
from serving.store.model_store import local_version, open_store
from trainer.base.errors import UserError


def copy_served_model(base: str, target: str) -> int | None:
    """Copies the served version into a directory of its own, as hard links where possible; one in a bucket is
    downloaded. The files are held against the version's manifest, or where it has none the weights against their
    checksums.

    Its own, because whoever reads it later must find it whole when the version has been deleted; links, because
    the files of a version never change.

    Args:
        base: Push destination: directory of the versions, local or gs://.
        target: Directory to be created.

    Returns:
        The version; None, and no `target`, when nothing is served yet.

    Raises:
        UserError: If `base` is neither local nor gs://, or cannot be read, or the version is damaged.
    """
    store = open_store(base)
    while versions := store.versions():
        version = versions[-1]
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        try:
            store.copy(version, target)
        except FileNotFoundError:
            if version in store.versions():
                raise
            continue  # deleted meanwhile: take what is served now
        if store.read(version, MANIFEST) is None:  # put there by other means
            from serving.store.whole_model import (
                check_model,  # TensorFlow, which the others need not wait for
            )

            check_model(target, weights=True)
        return version
    shutil.rmtree(target, ignore_errors=True)
    return None


def check_served_model(base: str) -> int | None:
    """Loads the version that is served now and asks it for one video's probabilities, as the Evaluator will.

    Args:
        base: Push destination: directory of the versions, local or gs://.

    Returns:
        The version; None when nothing is served yet.

    Raises:
        UserError: If it cannot be compared with: the version, what is wrong with it, and what to do.
    """
    store = open_store(base)
    while versions := store.versions():
        version = versions[-1]
        try:
            with local_version(store, version) as directory:
                check_comparable(directory, base, version)
        except FileNotFoundError:
            if version in store.versions():
                raise
            continue  # deleted meanwhile: take what is served now
        return version
    return None


def check_comparable(directory: str, base: str, version: int) -> None:
    """The same for a copy of a version that is here already.

    Args:
        directory: Local SavedModel.
        base: Where it is served from, for the message.
        version: Its number, likewise.
    """
    from serving.inference.load_check import (
        load_problem,
    )  # TensorFlow: seconds that nobody waits for where nothing is served

    if problem := load_problem(directory):
        raise UserError(
            f"version {version} of {base} is served, and a new model cannot be compared with it: it {problem}. "
            f"Serve an earlier version again (yt8m models rollback {base} --to VERSION), remove this one (yt8m "
            f"models delete {base} {version} --force), or push to another push.directory"
        )
