"""The files of a split of Examples artifacts."""

import posixpath
from collections.abc import Sequence

import tensorflow as tf
from tfx.types import Artifact, artifact_utils

from trainer.base.errors import UserError
from trainer.data.manifest import example_files


def split_files(examples: Sequence[Artifact], split: str) -> list[str]:
    """Lists the files of a split.

    Args:
        examples: Examples artifacts.
        split: Name of the split, such as `eval`.

    Returns:
        Addresses of the files, artifact by artifact, and sorted within each. Where the artifact has files by reference,
        they are addresses in its manifest (see `trainer.data.manifest`).

    Raises:
        UserError: If the split has no file.
    """
    uris = artifact_utils.get_split_uris(list(examples), split)
    files = example_files(path for uri in uris for path in sorted(tf.io.gfile.glob(posixpath.join(uri, "*"))))
    if not files:
        raise UserError(
            f"the examples have no file in their split {split!r} ({', '.join(uris)}): give the recipe's data "
            "section more files; or, where they were lost, remove the directory above and start the run again"
        )
    return files
