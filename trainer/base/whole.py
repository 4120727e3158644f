"""Writing files and directories that appear at once: nobody ever sees, or is left with, half of one."""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.base.errors import UserError
from trainer.base.files import is_local
from trainer.base.full_disk import naming


@contextmanager
def whole_file(path: str) -> Iterator[str]:
    """Gives a local path to write to; when the block ends without an error, that file appears at `path` at once.

    Two processes may write the same file at the same time: the file of the one that ends last stays.

    Args:
        path: Where the file is to appear, local or in a bucket.
    """
    if is_local(path):
        with _renamed(path) as unfinished:
            yield unfinished
        return
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        unfinished = os.path.join(scratch, "unfinished")
        yield unfinished
        tf.io.gfile.copy(unfinished, path, overwrite=True)


@contextmanager
def whole_directory(path: str) -> Iterator[str]:
    """Gives the path of a local directory to make; when the block ends without an error, it is renamed to `path`.

    Args:
        path: Where the directory is to appear; nothing may be there.

    Raises:
        UserError: Another process has made it meanwhile.
    """
    try:
        with _renamed(path) as unfinished:
            yield unfinished
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and error.filename2 == os.path.realpath(path):
            raise UserError(f"{path} is there already, made by another process: give another path") from None
        raise


@contextmanager
def _renamed(path: str) -> Iterator[str]:
    # Where a link stands, what it leads to is what is replaced.
    path = os.path.realpath(path)
    unfinished = f"{path}.{uuid.uuid4().hex}.unfinished"
    try:
        with naming(path):
            yield unfinished
            os.replace(unfinished, path)
    finally:
        if os.path.isdir(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            Path(unfinished).unlink(missing_ok=True)
