"""Opening and finding files that may be local or in a bucket.

Local paths go through plain Python: it is faster for small reads, and reading needs no TensorFlow then.
Everything else goes through tf.io.gfile.
"""

import glob
import os
from collections.abc import Iterable
from typing import Any

from trainer.errors import UserError

_BUFFER_BYTES = 1 << 20


def is_local(path: str) -> bool:
    """Whether `path` names a file of this machine, and not one of a URL scheme such as gs://."""
    return "://" not in path


def open_file(path: str, mode: str) -> Any:
    """Opens `path` in a binary mode, "rb" or "wb", and returns a context manager with read or write.

    Raises:
        UserError: The file to read does not exist or may not be read.
    """
    if is_local(path):
        try:
            return open(path, mode, buffering=_BUFFER_BYTES)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            if mode != "rb":
                raise
            raise UserError(f"cannot read {path}: {error.strerror}; name a TFRecord file there") from error
    import tensorflow as tf

    if mode == "rb" and not tf.io.gfile.exists(path):
        raise UserError(f"cannot read {path}: no such file; name a TFRecord file there")
    return tf.io.gfile.GFile(path, mode)


def file_size(path: str) -> int:
    """Bytes of the file at `path`."""
    if is_local(path):
        return os.path.getsize(path)
    import tensorflow as tf

    return tf.io.gfile.stat(path).length


def rename(source: str, target: str) -> None:
    """Moves a file over `target`, which may exist; on a local disk readers see the old or the new one."""
    if is_local(source) and is_local(target):
        os.replace(source, target)
        return
    import tensorflow as tf

    tf.io.gfile.rename(source, target, overwrite=True)


def make_dirs(path: str) -> None:
    """Makes the directory `path` and its parents where they are missing."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)
        return
    import tensorflow as tf

    tf.io.gfile.makedirs(path)


def expand(patterns: Iterable[str]) -> list[str]:
    """Files that match any of the patterns (globs or plain paths), sorted, each once; no directories.

    Raises:
        UserError: A pattern matches no file.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = _glob(pattern)
        if not matches:
            raise UserError(f"no file matches {pattern}; check the path, and quote the pattern in a shell")
        found.update(matches)
    return sorted(found)


def _glob(pattern: str) -> list[str]:
    if is_local(pattern):
        # A file whose very name contains glob characters must still be found by that name.
        return [pattern] if os.path.isfile(pattern) else [p for p in glob.glob(pattern) if os.path.isfile(p)]
    import tensorflow as tf

    return [path for path in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(path)]
