"""Opening and finding files that may be local or in a bucket.

Local paths go through plain Python: it is faster for small reads, and reading needs no TensorFlow then.
Everything else goes through tf.io.gfile.
"""

import glob
import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainer.base.addresses import check_address
from trainer.base.errors import UserError

_OF_A_MODEL = ("saved_model.pb", "*/saved_model.pb")
"""What a directory of a model, or of its versions, has."""

_BUFFER_BYTES = 1 << 16


def is_local(path: str) -> bool:
    """Whether `path` names a file of this machine, and not one of a URL scheme such as gs://."""
    return "://" not in path


def at_once(path: str, flags: int) -> int:
    """Opens a file without waiting, as an opener of `open`: a named pipe that nobody writes to is empty.

    A pipe that somebody writes to, as a shell's <(COMMAND), is read to its end.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def open_file(path: str, mode: str) -> Any:
    """Opens `path` in a binary mode, "rb" or "wb", and returns a context manager with read or write.

    Raises:
        UserError: The file to read does not exist or may not be read, or the address is invalid.
    """
    if is_local(path):
        try:
            return open(path, mode, buffering=_BUFFER_BYTES, opener=at_once if mode == "rb" else None)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            if mode != "rb":
                raise
            remedy = (
                "give this user the right to it"
                if isinstance(error, PermissionError)
                else "name a TFRecord file there"
            )
            raise UserError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    check_address(path, "file", any_scheme=True)
    import tensorflow as tf

    if mode == "rb" and not tf.io.gfile.exists(path):
        raise UserError(f"cannot read {path}: no such file; name a TFRecord file there")
    return tf.io.gfile.GFile(path, mode)


def exists(path: str) -> bool:
    """Whether there is a file or directory of that name.

    Raises:
        UserError: The address is invalid, or of a kind that nothing here reads.
    """
    if is_local(path):
        return os.path.exists(path)
    check_address(path, "file", any_scheme=True)
    import tensorflow as tf

    return tf.io.gfile.exists(path)


def list_names(path: str) -> list[str]:
    """Returns the names in the directory `path`; none where there is no such directory."""
    if is_local(path):
        return os.listdir(path) if os.path.isdir(path) else []
    import tensorflow as tf

    return tf.io.gfile.listdir(path) if tf.io.gfile.isdir(path) else []


def file_size(path: str) -> int:
    """Returns the size of the file at `path` in bytes."""
    if is_local(path):
        return os.path.getsize(path)
    import tensorflow as tf

    return tf.io.gfile.stat(path).length


class FileState(NamedTuple):
    """What changes when a file is written anew."""

    size: int
    """Its bytes."""
    modified: int
    """The time of its last change, in nanoseconds since 1970."""


def file_state(path: str) -> FileState:
    """Returns size and time of a file.

    Raises:
        UserError: There is no such file, or it may not be read.
    """
    if is_local(path):
        try:
            found = os.stat(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        return FileState(found.st_size, found.st_mtime_ns)
    import tensorflow as tf

    try:
        found = tf.io.gfile.stat(path)
    except tf.errors.OpError as error:
        raise UserError(f"cannot read {path}: {error.message}") from error
    return FileState(found.length, found.mtime_nsec)


def rename(source: str, target: str) -> None:
    """Moves a file to `target`, over a file there; on a local disk a reader sees the old one or the new one."""
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


def sync_path(path: str) -> None:
    """Makes the content of a local file, or the names in a local directory, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(path: str) -> None:
    """Removes a file, if there is one."""
    if is_local(path):
        Path(path).unlink(missing_ok=True)
        return
    import tensorflow as tf

    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)


def remove_tree(path: str) -> None:
    """Removes the directory `path` with all that is in it, if there is one."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    import tensorflow as tf

    if tf.io.gfile.exists(path):
        tf.io.gfile.rmtree(path)


def expand(patterns: Iterable[str]) -> list[str]:
    """Returns the files that match any of the patterns (globs or plain paths), sorted and each once; no directories.

    Raises:
        UserError: A pattern matches no file, or a link to no file, or no file can have such an address.
    """
    found: set[str] = set()
    for pattern in patterns:
        check_address(pattern, "file pattern", pattern=True, any_scheme=True)
        matches = _glob(pattern)
        if not matches and is_local(pattern) and os.path.isdir(pattern):
            if any(glob.glob(os.path.join(glob.escape(pattern), one)) for one in _OF_A_MODEL):
                raise UserError(f"{pattern} is the directory of a model: give files of videos here")
            raise UserError(
                f"{pattern} is a directory: give a pattern of its files, such as '{pattern.rstrip('/')}/*'"
            )
        if not matches:
            raise UserError(f"no file matches {pattern}; {_why_none(pattern)}")
        found.update(matches)
    return sorted(found)


def expand_labelled(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Finds the files for training or evaluation that match any of the patterns.

    A pattern that matches files named train* or validate*, and also files named test*, stands for a directory into
    which the whole data set was downloaded: its test files, which have no labels, are left out. A pattern that
    matches test files alone is taken at its word.

    Returns:
        The files and the ones left out, each list sorted.

    Raises:
        UserError: A pattern matches no file.
    """
    found: set[str] = set()
    left_out: set[str] = set()
    for pattern in patterns:
        matches = expand([pattern])
        tests = {path for path in matches if file_kind(path) == "test"}
        if not any(file_kind(path) in ("train", "validate") for path in matches):
            tests = set()
        found.update(set(matches) - tests)
        left_out |= tests
    return sorted(found), sorted(left_out - found)


def left_out_line(left_out: Sequence[str]) -> str:
    """Returns one line that tells of the files that `expand_labelled` left out."""
    return (
        f"{len(left_out)} file(s) named test* are left out, {left_out[0]} the first: their pattern also matches train "
        "or validate files, and the test files of the data set have no labels"
    )


def file_kind(path: str) -> str:
    """Returns `train`, `validate` or `test`, by which the names of the data set's files begin; else an empty string.

    >>> file_kind("gs://bucket/frame/validate01.tfrecord"), file_kind("/data/part-0")
    ('validate', '')
    """
    name = posixpath.basename(path)
    return next((kind for kind in ("train", "validate", "test") if name.startswith(kind)), "")


def _why_none(pattern: str) -> str:
    """Says what may be wrong with a pattern that matches no file."""
    if pattern != pattern.strip():
        return "a blank stands at its beginning or end: leave it out"
    if re.search(r"\{.*\}", pattern):
        return "braces are for {SPAN} and dates in capital letters: give each pattern by itself"
    if "\\" in pattern:
        return "a path has / between its names, not a backslash"
    if is_local(pattern) and not os.path.isabs(pattern):
        return f"check the path, which counts from {os.getcwd()}"
    return "check the path"


def _glob(pattern: str) -> list[str]:
    if is_local(pattern):
        # A file whose very name contains glob characters must still be found by that name.
        if os.path.isfile(pattern):
            return [pattern]
        matches = glob.glob(pattern)
        for path in matches:
            if os.path.islink(path) and not os.path.exists(path):
                # A disk that is not mounted: to go on with the other files would be to lose these in silence.
                raise UserError(
                    f"{path} is a link to {os.readlink(path)}, which is not there; mend or remove it"
                )
        return [path for path in matches if os.path.isfile(path)]
    import tensorflow as tf

    try:
        return [path for path in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(path)]
    except tf.errors.UnimplementedError:
        scheme = pattern.partition("://")[0]
        raise UserError(
            f"{pattern}: {scheme}:// is not supported; give a local path, or gs://BUCKET/NAME"
        ) from None
