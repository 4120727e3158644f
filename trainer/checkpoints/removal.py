"""Removing checkpoints that are of no further use. TensorFlow is imported where something is removed only."""

import posixpath

REMOVED = "removed"
"""The file that says that the checkpoints of its directory were removed."""


def remove_checkpoints(directory: str) -> None:
    """Removes all checkpoints of a directory, and notes it there first: some snapshots would pass for all of them."""
    import tensorflow as tf

    if not tf.io.gfile.isdir(directory):
        return
    with tf.io.gfile.GFile(posixpath.join(directory, REMOVED), "w") as file:
        file.write("training.keep_snapshots keeps them\n")
    for ending in ("*.index", "*.data-*"):
        for path in tf.io.gfile.glob(posixpath.join(directory, ending)):
            tf.io.gfile.remove(path)
