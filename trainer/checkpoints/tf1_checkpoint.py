"""Reads checkpoints of the paper's own TensorFlow 1 code."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.checkpoints.checkpoint_reader import CheckpointReader
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays

_REMEDY = "copy the checkpoint anew, or import another one"


def _scopes() -> dict[str, str]:
    """Our names to theirs, below their scope `tower/` (a single model, an ensemble's first) or `tower/model<i>/`."""
    names = {
        "hidden1/weights": "hidden1_weights/hidden1_weights",
        "hidden2/weights": "hidden2_weights/hidden2_weights",
        "hidden2/biases": "hidden2_biases",
        "gating/weights": "gating_weights/gating_weights",
        "gates/weights": "gates/weights",
        "experts/weights": "experts/weights",
        "experts/biases": "experts/biases",
        "gating_prob/weights": "gating_prob_weights",
    }
    batch_norms = {"hidden1/bn": "hidden1_bn", "gating/bn": "gating_bn", "gating_prob/bn": "gating_prob_bn"}
    for ours, theirs in (("video_vlad", "video_VLAD"), ("audio_vlad", "audio_VLAD")):
        names[f"{ours}/cluster_weights"] = f"{theirs}/conv2/cluster_weights"
        names[f"{ours}/cluster_centers"] = f"{theirs}/cluster_weights2/cluster_weights2"
        batch_norms[f"{ours}/bn"] = f"{theirs}/cluster_bn"  # beside conv2, not in it
    for ours, theirs in batch_norms.items():
        for name in ("beta", "gamma", "moving_mean", "moving_variance"):
            names[f"{ours}/{name}"] = f"{theirs}/{name}"
    return names


TF1_NAMES: Mapping[str, str] = _scopes()
"""Name of each of the 32 tensors in the authors' checkpoints. Layouts are equal, so nothing is transposed."""


def read_tf1_checkpoint(prefix: str, spec: ModelSpec, member: int | None = None) -> Arrays:
    """The 32 tensors of a Gated NetVLAD; optimizer slots, the global step and other members are passed over.

    Args:
        prefix: Of the checkpoint, with or without `.index`, `.meta` or `.data-...`; or the directory of the newest one.
        spec: What it is a checkpoint of, a Gated NetVLAD.
        member: Of an ensemble's checkpoint: 0 for the first, directly below `tower/`, or the i of a scope `model<i>/`;
            None for a single model.

    Returns:
        float32 weights; tensors that the checkpoint stores in float16 stay so.

    Raises:
        UserError: If the model is of another family, there is no such checkpoint or member, a file of it is missing or
            damaged (it is named), or a tensor is missing or has a wrong shape or type.
    """
    if not isinstance(spec.architecture, GatedNetVlad):
        raise UserError(f"the paper's code trains Gated NetVLAD alone, such as K24-H1440. Received: {spec}")
    prefix = _prefix_of(prefix)
    reader = _open(prefix)
    shapes, dtypes = reader.shapes, reader.dtypes
    scope = _scope(prefix, shapes, member)
    names = {ours: scope + theirs for ours, theirs in TF1_NAMES.items()}
    tensors = {tensor.name: tensor for tensor in spec.tensors}
    for ours, theirs in names.items():
        expected = tensors[ours].shape
        if theirs not in shapes:
            raise UserError(f"{prefix}: tensor {theirs} is missing, which {spec} has with shape {expected}")
        if tuple(shapes[theirs]) != expected:
            raise UserError(
                f"{prefix}: tensor {theirs} must have shape {expected} for {spec}. Received: "
                f"{tuple(shapes[theirs])}; is it another variant?"
            )
        if not dtypes[theirs].is_floating:
            raise UserError(f"{prefix}: tensor {theirs} must hold floats. Received: {dtypes[theirs].name}")
    return {ours: _stored(reader.read(theirs), tensors[ours].compressible) for ours, theirs in names.items()}


class _OldReader:
    """A checkpoint in the one-file format of before TensorFlow 0.12, with what `CheckpointReader` has."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._explained():
            self._reader = tf.train.load_checkpoint(path)
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()

    def read(self, name: str) -> np.ndarray:
        with self._explained():
            return self._reader.get_tensor(name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._path} is not a TensorFlow checkpoint ({_line(error)}); {_REMEDY}"
            ) from error


def _open(prefix: str) -> "CheckpointReader | _OldReader":
    if tf.io.gfile.exists(f"{prefix}.index"):
        return CheckpointReader(prefix, _REMEDY)
    if data := tf.io.gfile.glob(f"{prefix}.data-*"):
        raise UserError(f"{prefix}.index is missing, which {data[0]} cannot be read without: copy it as well")
    if tf.io.gfile.exists(prefix):
        return _OldReader(prefix)
    raise UserError(
        f"{prefix} is not a TensorFlow checkpoint, there is no {prefix}.index: give the path of such a file"
    )


def _prefix_of(path: str) -> str:
    """Of the checkpoint that a path means: its prefix, one of its files, or the directory of the newest one."""
    if not tf.io.gfile.isdir(path):
        return re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    try:
        newest = tf.train.latest_checkpoint(path)
    except ValueError:  # no text
        newest = None
    if newest is None:
        raise UserError(
            f"{path} has no file `checkpoint` that names the newest one: give the path of an .index file"
        )
    return newest


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _scope(prefix: str, shapes: Mapping[str, object], member: int | None) -> str:
    """The one scope that holds a model, or the member's."""
    # A tensor may be missing or have slots of its name, so any of the 32 shows a scope.
    endings = tuple(f"/{theirs}" for theirs in TF1_NAMES.values())
    scopes = set()
    for name in shapes:
        found = next((ending for ending in endings if name.endswith(ending)), None)
        if found:
            scopes.add(name.removesuffix(found.removeprefix("/")))
    if not scopes:
        raise UserError(
            f"{prefix} holds none of the tensors of a Gated NetVLAD, such as tower/hidden1_weights/hidden1_weights: "
            "is it a checkpoint of the paper's code?"
        )
    # The authors' first member has no scope of its own (their eval.py: model<i> from 1 on).
    suffixes = {scope: re.search(r"(?:^|/)model(\d+)/$", scope) for scope in sorted(scopes)}
    members = {int(match[1]) if match else 0: scope for scope, match in suffixes.items()}
    if member is not None:
        if member not in members:
            raise UserError(f"{prefix} has no member {member}. {_choices(members)}")
        return members[member]
    if len(scopes) > 1:
        raise UserError(f"{prefix} holds several models: choose one by --member. {_choices(members)}")
    return scopes.pop()


def _choices(members: Mapping[int, str]) -> str:
    if len(members) == 1:
        return "It holds a single model"
    return f"It holds the members {', '.join(map(str, sorted(members)))}"


def _stored(value: np.ndarray, compressible: bool) -> np.ndarray:
    return value if compressible and value.dtype == np.float16 else value.astype(np.float32)
