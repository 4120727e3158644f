"""A copy of the model that is served now, and whether a candidate can be compared with it."""

import os
import shutil

from serving.store.manifest import MANIFEST
from serving.store.model_store import local_version, open_store
from trainer.base.errors import UserError


def hand_out(base: str, target: str, num_classes: int | None = None) -> int | None:
    """Copies the served version at the beginning of a run, and checks what the run needs at its end.

    The Evaluator and the Pusher come after all training: so the model is loaded now, and a file written to where the
    new version goes, with the rights of the process that runs the steps.

    Args:
        base: Push destination: directory of the versions, local or gs://.
        target: Directory to be created, local.
        num_classes: The candidate's number of classes; None for a pipeline that an earlier release compiled.

    Returns:
        Number of the version. None when nothing is served yet; there is no `target` then.

    Raises:
        UserError: If nothing can be written to `base`, the version is damaged, or no candidate can be compared with it.
    """
    open_store(base).check_writable()
    version = copy_served_model(base, target)
    if version is not None:
        check_comparable(target, base, version, num_classes)
    return version


def copy_served_model(base: str, target: str) -> int | None:
    """Copies the served version into a directory of its own, and checks the copy.

    The copy stays whole when the version itself is deleted. A local version is copied as hard links where the file
    system has them, since the files of a version never change; one in a bucket is downloaded. The files are compared
    with the version's manifest or, where it has none, the weights with their checksums.

    Args:
        base: Push destination: directory of the versions, local or gs://.
        target: Directory to be created, local.

    Returns:
        Number of the version. None when nothing is served yet; there is no `target` then.

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
            # TensorFlow, which the others need not wait for.
            from serving.store.whole_model import check_model

            check_model(target, weights=True)
        return version
    shutil.rmtree(target, ignore_errors=True)
    return None


def check_served_model(base: str, num_classes: int | None = None) -> int | None:
    """Loads the version that is served now and asks it for one video's probabilities, as the Evaluator will.

    Args:
        base: Push destination: directory of the versions, local or gs://.
        num_classes: The candidate's number of classes; None for any.

    Returns:
        Number of the version; None when nothing is served yet.

    Raises:
        UserError: If it cannot be compared with: the version, what is wrong with it, and what to do.
    """
    store = open_store(base)
    while versions := store.versions():
        version = versions[-1]
        try:
            with local_version(store, version) as directory:
                check_comparable(directory, base, version, num_classes)
        except FileNotFoundError:
            if version in store.versions():
                raise
            continue  # deleted meanwhile: take what is served now
        return version
    return None


def check_comparable(directory: str, base: str, version: int, num_classes: int | None) -> None:
    """Loads a local copy of a version and asks it for one video's probabilities, as the Evaluator will.

    Args:
        directory: Local directory of the SavedModel.
        base: Push destination that the version is served from; the error message names it.
        version: Number of the version; the error message names it.
        num_classes: The candidate's number of classes; None for any.

    Raises:
        UserError: If no candidate can be compared with it.
    """
    # TensorFlow: seconds that nobody waits for where nothing is served.
    from serving.inference.load_check import load_problem

    if problem := load_problem(directory, num_classes):
        raise UserError(
            f"version {version} of {base} is served, and a new model cannot be compared with it: it {problem}. "
            f"Serve an earlier version again (yt8m models rollback {base} --to VERSION), remove this one (yt8m "
            f"models delete {base} {version} --force), or push to another push.directory"
        )
