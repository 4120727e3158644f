"""What a model is: its architecture and its number of classes. It alone says which tensors weights are made of."""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from trainer.base.errors import UserError
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.architectures import ARCHITECTURES, Architecture
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.tensor_spec import TensorSpec

FILE = "model.json"
"""Lies beside the snapshots of a training run."""

_SCHEMA = 1


@dataclass(frozen=True)
class ModelSpec:
    """An architecture with its number of classes.

    >>> ModelSpec.parse("K2-H8", 12).tensors[0].shape
    (1024, 2)

    Attributes:
        architecture: Family and sizes.
        num_classes: V.
    """

    architecture: Architecture
    num_classes: int = NUM_CLASSES

    @classmethod
    def parse(cls, name: str, num_classes: int = NUM_CLASSES) -> "ModelSpec":
        """The model of an architecture's name; UserError when it is not one."""
        return cls(ARCHITECTURES.parse(name), num_classes)

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.architecture.name

    def __str__(self) -> str:
        return self.name

    @cached_property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """All tensors, in the architecture's order."""
        return self.architecture.tensor_specs(self.num_classes)

    @property
    def float32_bytes(self) -> int:
        """Bytes of all tensors in float32."""
        return sum(4 * spec.size for spec in self.tensors)

    def save(self, directory: str) -> None:
        """Writes `model.json` into a directory."""
        import tensorflow as tf

        content = {"schema": _SCHEMA, "architecture": self.name, "num_classes": self.num_classes}
        tf.io.gfile.makedirs(directory)
        with tf.io.gfile.GFile(posixpath.join(directory, FILE), "w") as file:
            file.write(json.dumps(content) + "\n")

    @classmethod
    def load(cls, directory: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> "ModelSpec":
        """The model whose snapshots lie in a directory.

        Args:
            directory: With `model.json`.
            shapes: Of the tensors of a snapshot. Runs of before there was a `model.json` are of Gated NetVLAD, which
                tells its sizes from them.

        Raises:
            UserError: If there is no such file (and no shapes), or it cannot be read.
        """
        import tensorflow as tf

        path = posixpath.join(directory, FILE)
        if shapes is not None and not tf.io.gfile.exists(path):
            return cls(*GatedNetVlad.of_shapes(directory, shapes))
        try:
            with tf.io.gfile.GFile(path) as file:
                content = json.loads(file.read())
            schema, name, classes = content["schema"], content["architecture"], content["num_classes"]
        except (tf.errors.OpError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} does not say which model the snapshots are of ({type(error).__name__}): train it again"
            ) from None
        if schema > _SCHEMA:
            raise UserError(f"{path} was written by a newer version of yt8m (schema {schema}): update yt8m")
        return cls.parse(name, classes)
