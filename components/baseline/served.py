"""A copy of the model that is served now."""

import os
import shutil

from serving.manifest import MANIFEST
from serving.model_store import open_store


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
            from serving.whole_model import check_model  # TensorFlow, which the others need not wait for

            check_model(target, weights=True)
        return version
    shutil.rmtree(target, ignore_errors=True)
    return None
