"""Copies of directories in buckets, for code that needs local ones: publishing, hard links, the model server."""

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from trainer.base.files import is_local


@contextmanager
def local_tree(directory: str) -> Iterator[str]:
    """Gives a local directory with the same files.

    A local directory is given as it is. One in a bucket is copied; the copy is removed when the block ends.
    """
    if is_local(directory):
        yield directory
        return
    with tempfile.TemporaryDirectory() as copy:
        copy_remote_tree(directory, copy)
        yield copy


def copy_remote_tree(source: str, target: str) -> None:
    """Copies all files below a directory, between any file systems that TensorFlow knows.

    TensorFlow marks a directory in a bucket by an object whose name ends in a slash; such objects are not copied.

    Args:
        source: Directory to copy, local or in a bucket.
        target: Directory that receives the files; it is made where it is missing, and files in it are overwritten.
    """
    for parent, _, names in tf.io.gfile.walk(source):
        below = parent[len(source) :].strip("/")
        directory = posixpath.join(target, below) if below else target
        tf.io.gfile.makedirs(directory)
        for name in filter(None, names):
            tf.io.gfile.copy(posixpath.join(parent, name), posixpath.join(directory, name), overwrite=True)
