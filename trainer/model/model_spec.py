"""The specification of a model, which alone decides what tensors its weights consist of."""

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
"""Name of the file beside the snapshots of a training run that says which model they are of."""

_SCHEMA = 1


@dataclass(frozen=True)
class ModelSpec:
    """An architecture with its number of classes.

    >>> ModelSpec.parse("K2-H8", 12).tensors[0].shape
    (1024, 2)

    Attributes:
        architecture: Family and sizes of the model.
        num_classes: V, at least 1.
    """

    architecture: Architecture
    num_classes: int = NUM_CLASSES

    @classmethod
    def parse(cls, name: str, num_classes: int = NUM_CLASSES) -> "ModelSpec":
        """Makes the specification of a named architecture, such as K24-H1440.

        Raises:
            UserError: No architecture has this name.
        """
        return cls(ARCHITECTURES.parse(name), num_classes)

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return self.architecture.name

    def __str__(self) -> str:
        return self.name

    @cached_property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """All tensors, in the architecture's order."""
        return self.architecture.tensor_specs(self.num_classes)

    @property
    def float32_bytes(self) -> int:
        """Size of all tensors in float32, in bytes."""
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
        """Reads which model the snapshots in a directory are of.

        Args:
            directory: Directory with `model.json`.
            shapes: Shapes of the tensors in one of its snapshots, by name. Older runs have no `model.json`; they are of
                Gated NetVLAD, whose sizes follow from these shapes.

        Raises:
            UserError: There is no such file (and no shapes are given), or it cannot be read.
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
