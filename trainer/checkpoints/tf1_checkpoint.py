"""Reads checkpoints of public TensorFlow 1 code: the paper's Gated NetVLAD, and NeXtVLAD's of its authors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.checkpoints.checkpoint_reader import CheckpointReader
from trainer.checkpoints.tf1_names import BRANCH_NAMES, NEXT_VLAD_NAMES, TF1_NAMES
from trainer.data.yt8m import RGB_SIZE
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.architectures.next_vlad import NextVlad
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays

_OFFSET = 4.0 / 512.0
"""NeXtVLAD's code takes the half step of the 8-bit code off again, from rgb alone."""
_LEAST_SCALE = 1e-4
"""It adds so much to the square roots of the eigenvalues."""

_REMEDY = "copy the checkpoint anew, or import another one"


def read_tf1_checkpoint(
    prefix: str, spec: ModelSpec, member: int | None = None, eigenvalues: np.ndarray | None = None
) -> Arrays:
    """Reads all tensors of a model. Optimizer slots, the global step and other members are passed over.

    Args:
        prefix: Path of the checkpoint, with or without `.index`, `.meta` or `.data-...`; or a directory whose newest
            checkpoint is read.
        spec: The model that the checkpoint is of, a Gated NetVLAD or a NeXtVLAD.
        member: Number of the member in the checkpoint of an ensemble: 0 for the first, directly below `tower/`, or the
            i of a scope `model<i>/`; the i of a scope `branch_<i>/` of a mixture of NeXtVLADs, whose weights of
            branches are left out. None for a single model.
        eigenvalues: For a NeXtVLAD on frames that are not normalised, and for it alone: float [1024 or more], those of
            the principal components that rgb features consist of. Its code multiplies rgb by their square roots,
            which goes into the first kernel here.

    Returns:
        The weights by our names, float32; compressible tensors that the checkpoint has in float16 stay float16.

    Raises:
        UserError: The model is of another family, eigenvalues are missing or too many, there is no such checkpoint or
            member, a file of it is missing or damaged (it is named), or a tensor is missing or has a wrong shape or
            type.
    """
    _check_eigenvalues(spec, eigenvalues)
    prefix = _prefix_of(prefix)
    reader = _open(prefix)
    shapes, dtypes = reader.shapes, reader.dtypes
    names = _names(spec, shapes)
    scope = _scope(prefix, spec, shapes, names, member)
    full = {ours: scope + theirs for ours, theirs in names.items()}
    tensors = {tensor.name: tensor for tensor in spec.tensors}
    for ours, theirs in full.items():
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
    weights = {
        ours: _stored(reader.read(theirs), tensors[ours].compressible) for ours, theirs in full.items()
    }
    return weights if eigenvalues is None else weights | _scaled_rgb(weights, eigenvalues)


def read_eigenvalues(path: str) -> np.ndarray:
    """Reads 1024 eigenvalues, float64 [1024], the largest first, of an .npy file with at least so many.

    Raises:
        UserError: If there is no such file, or it holds something else.
    """
    try:
        values = np.load(path).astype(np.float64).ravel()[:RGB_SIZE]
    except (OSError, ValueError) as error:
        raise UserError(f"--eigenvalues {path} cannot be read as an .npy file ({error})") from None
    if len(values) < RGB_SIZE or not (values >= 0).all():
        raise UserError(
            f"--eigenvalues {path} must hold at least {RGB_SIZE} numbers that are not negative, as "
            f"yt8m_pca/eigenvals.npy of NeXtVLAD's code does. Received: {len(values)}"
        )
    return values


def _check_eigenvalues(spec: ModelSpec, eigenvalues: np.ndarray | None) -> None:
    family = spec.architecture
    scales_rgb = isinstance(family, NextVlad) and not family.normalised
    if not isinstance(family, GatedNetVlad | NextVlad):
        raise UserError(
            "the public code trains Gated NetVLAD and NeXtVLAD alone, such as K24-H1440 or "
            f"NeXtVLAD-G8-K128-H2048-R8-N0. Received: {spec}"
        )
    if scales_rgb and eigenvalues is None:
        raise UserError(
            f"{spec} takes frames that are not normalised, of which NeXtVLAD's code scales rgb by the square roots of "
            "eigenvalues: give its file yt8m_pca/eigenvals.npy by --eigenvalues"
        )
    if eigenvalues is not None and not scales_rgb:
        raise UserError(
            "--eigenvalues is for NeXtVLAD on frames that are not normalised, such as "
            f"NeXtVLAD-G8-K128-H2048-R8-N0. Received: {spec}; leave it out, or name that variant"
        )


def _names(spec: ModelSpec, shapes: Mapping[str, object]) -> Mapping[str, str]:
    """Our names to theirs below their scope."""
    if isinstance(spec.architecture, GatedNetVlad):
        return TF1_NAMES
    of_mixture = any("/branch_" in name for name in shapes)
    return BRANCH_NAMES if of_mixture else NEXT_VLAD_NAMES


def _scaled_rgb(weights: Arrays, eigenvalues: np.ndarray) -> Arrays:
    """The expansion of rgb with what their code does to rgb before it: (x - 4/512) * (sqrt(eigenvalue) + 1e-4)."""
    scale = np.sqrt(eigenvalues) + _LEAST_SCALE
    kernel = scale[:, np.newaxis] * weights["video_vlad/expansion/weights"].astype(np.float64)
    biases = weights["video_vlad/expansion/biases"] - _OFFSET * kernel.sum(axis=0)
    return {
        "video_vlad/expansion/weights": kernel.astype(np.float32),
        "video_vlad/expansion/biases": biases.astype(np.float32),
    }


class _OldReader:
    """Reads a checkpoint in the one-file format that TensorFlow had before 0.12, like a `CheckpointReader`."""

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
    """Returns the prefix of a checkpoint, given the prefix, one of its files, or the directory of the newest one."""
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


def _scope(
    prefix: str, spec: ModelSpec, shapes: Mapping[str, object], names: Mapping[str, str], member: int | None
) -> str:
    """Returns the scope of the member, or the only scope that holds a model."""
    # A tensor may be missing or have slots of its name, so any of them shows a scope. The longest ending is the right
    # one: NeXtVLAD has a fully_connected/weights at the top and within video_VLAD.
    endings = sorted((f"/{theirs}" for theirs in names.values()), key=len, reverse=True)
    scopes = set()
    for name in shapes:
        found = next((ending for ending in endings if name.endswith(ending)), None)
        if found:
            scopes.add(name.removesuffix(found.removeprefix("/")))
    if not scopes:
        raise UserError(
            f"{prefix} holds none of the tensors of {spec}, such as tower/{names['hidden1/weights']}: is it a "
            "checkpoint of the public code?"
        )
    # The authors' first member has no scope of its own (their eval.py: model<i> from 1 on).
    suffixes = {scope: re.search(r"(?:^|/)(?:model|branch_)(\d+)/$", scope) for scope in sorted(scopes)}
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
