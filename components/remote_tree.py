"""Directories in buckets, for what works on local ones only: publishing, hard links, the model server."""

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from trainer.base.files import is_local


@contextmanager
def local_tree(directory: str) -> Iterator[str]:
    """The directory itself where it is local; otherwise a copy of it that lasts as long as the block."""
    if is_local(directory):
        yield directory
        return
    with tempfile.TemporaryDirectory() as copy:
        copy_remote_tree(directory, copy)
        yield copy


def copy_remote_tree(source: str, target: str) -> None:
    """Copies all files below a directory, between any file systems that TensorFlow knows.

    Objects whose name ends in a slash, by which TensorFlow marks directories in a bucket, are no files.
    """
    for parent, _, names in tf.io.gfile.walk(source):
        below = parent[len(source) :].strip("/")
        directory = posixpath.join(target, below) if below else target
        tf.io.gfile.makedirs(directory)
        for name in filter(None, names):
            tf.io.gfile.copy(posixpath.join(parent, name), posixpath.join(directory, name), overwrite=True)
