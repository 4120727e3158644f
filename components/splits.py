"""Files of a split of Examples artifacts."""

import posixpath
from collections.abc import Sequence

import tensorflow as tf
from tfx.types import Artifact, artifact_utils

from trainer.base.errors import UserError


def split_files(examples: Sequence[Artifact], split: str) -> list[str]:
    """All files of the split, sorted within each artifact; UserError when there is none."""
    files = [
        path
        for uri in artifact_utils.get_split_uris(list(examples), split)
        for path in sorted(tf.io.gfile.glob(posixpath.join(uri, "*")))
    ]
    if not files:
        raise UserError(
            f"the examples have no file in their split {split!r}: give the recipe's data section more files"
        )
    return files
