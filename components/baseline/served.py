"""A copy of the model that is served now."""

import os
import shutil

from serving.model_store import latest_version, local_directory
from serving.staging import copy_tree


def copy_served_model(base: str, target: str) -> int | None:
    """Copies the served version into a directory of its own, as hard links where possible.

    Its own, because whoever reads it later must find it whole when the version has been deleted; links, because
    the files of a version never change.

    Args:
        base: Push destination: directory of the versions.
        target: Directory to be created.

    Returns:
        The version; None, and no `target`, when nothing is served yet.

    Raises:
        UserError: If `base` is no local directory.
    """
    base = local_directory(base)
    while (version := latest_version(base)) is not None:
        source = os.path.join(base, str(version))
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        try:
            copy_tree(source, target, link=True)
        except FileNotFoundError:
            if latest_version(base) == version:
                raise
            continue  # deleted meanwhile: take what is served now
        if os.path.isdir(source):
            return version
    shutil.rmtree(target, ignore_errors=True)
    return None
