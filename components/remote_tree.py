"""Copies of directories in buckets, for code that needs local ones: publishing, hard links, the model server."""

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from trainer.base.addresses import check_inside
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

    Raises:
        UserError: The name of an object would lead out of the target; nothing was copied then.
    """
    found = [
        (parent[len(source) :].strip("/"), name)
        for parent, _, names in tf.io.gfile.walk(source)
        for name in ("", *names)
    ]
    check_inside((posixpath.join(*one).strip("/") for one in found if any(one)), source)
    for below, name in found:
        if not name:
            tf.io.gfile.makedirs(posixpath.join(target, below))
            continue
        parts = posixpath.join(below, name)
        tf.io.gfile.copy(posixpath.join(source, parts), posixpath.join(target, parts), overwrite=True)
