"""Sees that a SavedModel is whole before it is loaded, and says it in one line when it is not.

The weights carry a checksum a tensor, which TensorFlow verifies when it restores them. Its graph carries none: a
flipped bit may be another weight of a member. So the other files are held against the model's manifest, which a
version has from its publisher and an export from `write_export_manifest`. One without a manifest is older than that, or
of another program; its graph is then only seen to be there.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from serving.store.manifest import CHUNK, MANIFEST, check_digests, decode_manifest, encode_manifest
from serving.store.version_store import NEEDED
from trainer.base.errors import UserError
from trainer.checkpoints.checkpoint_reader import CheckpointReader

REMEDY = "export or push the model again"
_GIVE = "give the directory of an export, or of versions of one"
_SHA256 = re.compile("[0-9a-f]{64}")
_CHECKPOINT = posixpath.join("variables", "variables")


def write_export_manifest(directory: str) -> None:
    """Writes the sha256 of each file of a SavedModel into its `manifest.sha256`, the weights left out.

    They have checksums of their own; to read a gigabyte back from a bucket for another one would take minutes.
    """
    names = sorted(name for name in _files_below(directory) if name != MANIFEST and not _is_weights(name))
    digests = {name: _digest(posixpath.join(directory, name)) for name in names}
    with tf.io.gfile.GFile(posixpath.join(directory, MANIFEST), "wb") as file:
        file.write(encode_manifest(digests))


def check_model(directory: str, weights: bool = False) -> None:
    """Sees that a SavedModel is whole.

    Args:
        directory: That holds saved_model.pb, on any file system that TensorFlow knows.
        weights: Also reads every tensor, for whoever does not load the model next: loading verifies them as well.

    Raises:
        UserError: If a file is missing, was cut, or is not what its manifest or checksum says; it is named.
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
    """A reader of the tensors of a SavedModel, by their names in its checkpoint; UserError as in `check_model`."""
    check_model(directory)
    return CheckpointReader(posixpath.join(directory, _CHECKPOINT), REMEDY)


def load_model(directory: str) -> Any:
    """What `tf.saved_model.load` gives for a model that is whole; UserError for another."""
    check_model(directory)
    with explained(directory):
        return tf.saved_model.load(directory)


@contextmanager
def explained(directory: str) -> Iterator[None]:
    """Makes a UserError of what TensorFlow raises while it loads the SavedModel in `directory`.

    A lack of memory stays what it is: no other model would help.
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
    if not all(name and _SHA256.fullmatch(digest) for name, digest in manifest.items()):
        raise UserError(f"{path} is damaged, it has lines that are no checksum and name: {REMEDY}")
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
