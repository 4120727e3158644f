"""Checks that a SavedModel is whole before it is loaded, and reports damage in one line.

The weights have a checksum for each tensor, which TensorFlow verifies when it restores them. The graph has none, and a
flipped bit in it may change the weight of a member. So the files beside the weights are compared with the model's
manifest, which a version has from its publisher and an export from `write_export_manifest`. A model without a manifest
is older, or of another program; it is only checked that its graph is there.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from serving.store.manifest import CHUNK, MANIFEST, check_digests, decode_manifest, encode_manifest, is_whole
from serving.store.version_store import NEEDED
from trainer.base.addresses import check_inside
from trainer.base.errors import UserError
from trainer.checkpoints.checkpoint_reader import CheckpointReader

REMEDY = "export or push the model again"
_GIVE = "give the directory of an export, or of versions of one"
_CHECKPOINT = posixpath.join("variables", "variables")


def write_export_manifest(directory: str) -> None:
    """Writes the sha256 of each file of a SavedModel but the weights into its `manifest.sha256`.

    The weights have checksums of their own, and reading a gigabyte back from a bucket would take minutes.

    Args:
        directory: Directory of saved_model.pb, on any file system that TensorFlow knows.
    """
    names = sorted(name for name in _files_below(directory) if name != MANIFEST and not _is_weights(name))
    digests = {name: _digest(posixpath.join(directory, name)) for name in names}
    with tf.io.gfile.GFile(posixpath.join(directory, MANIFEST), "wb") as file:
        file.write(encode_manifest(digests))


def check_model(directory: str, weights: bool = False) -> None:
    """Checks that a SavedModel is whole.

    Args:
        directory: Directory of saved_model.pb, on any file system that TensorFlow knows.
        weights: Whether to read every tensor as well. Loading the model verifies the tensors, too.

    Raises:
        UserError: A file is missing, was cut, or does not match its manifest or checksum; the message names it.
    """
    try:
        _check_files(directory)
    except tf.errors.OpError as error:
        raise UserError(f"{directory} cannot be read ({' '.join(error.message.split())}): {_GIVE}") from error
    reader = CheckpointReader(posixpath.join(directory, _CHECKPOINT), REMEDY)
    if weights:
        for name in reader.shapes:
            reader.read(name)


def _check_files(directory: str) -> None:
    for name in NEEDED:
        path = posixpath.join(directory, name)
        if not tf.io.gfile.exists(path):
            raise UserError(f"{directory} is not a whole SavedModel: it has no {name}; {_GIVE}")
        if not tf.io.gfile.stat(path).length:
            raise UserError(f"{path} is empty: {REMEDY}")
    manifest = _manifest(directory)
    if manifest:
        # What is there besides (warm-up requests, a note) changes no number.
        listed = {name: digest for name, digest in manifest.items() if not _is_weights(name)}
        paths = {name: posixpath.join(directory, name) for name in listed}
        there = {
            name: _digest(path)
            for name, path in paths.items()
            if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path)
        }
        check_digests(listed, there, directory)


def open_weights(directory: str) -> CheckpointReader:
    """Opens the weights of a SavedModel, to read its tensors by their names in the checkpoint.

    Raises:
        UserError: See `check_model`.
    """
    check_model(directory)
    return CheckpointReader(posixpath.join(directory, _CHECKPOINT), REMEDY)


def load_model(directory: str) -> Any:
    """Loads a SavedModel by `tf.saved_model.load`.

    Raises:
        UserError: The model is not whole, or does not load.
    """
    check_model(directory)
    with explained(directory):
        return tf.saved_model.load(directory)


@contextmanager
def explained(directory: str) -> Iterator[None]:
    """Turns the errors of TensorFlow when it loads a SavedModel into a UserError.

    A lack of memory is left as it is, since no other model would help.

    Args:
        directory: Directory of the SavedModel, for the message.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise
    # An IndexError is how it says that a file ends early, a KeyError or ValueError that its graph makes no sense.
    except (OSError, IndexError, KeyError, ValueError, DecodeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{directory} does not load ({reason}): {REMEDY}") from error


def _manifest(directory: str) -> Mapping[str, str] | None:
    path = posixpath.join(directory, MANIFEST)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        manifest = decode_manifest(file.read())
    if not is_whole(manifest):
        raise UserError(f"{path} is damaged, it has lines that are no checksum and name: {REMEDY}")
    check_inside(manifest, path)
    return manifest


def _is_weights(name: str) -> bool:
    return name.startswith(f"{_CHECKPOINT}.data-")


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _files_below(directory: str) -> Iterator[str]:
    for parent, _, names in tf.io.gfile.walk(directory):
        below = parent[len(directory) :].strip("/")
        for name in filter(None, names):
            yield posixpath.join(below, name) if below else name
