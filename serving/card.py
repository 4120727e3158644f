"""The card that lies beside the weights of every SavedModel of ours: what is in it, and how big and good it is."""

import posixpath

from pydantic import BaseModel, ConfigDict, Field

from trainer.errors import UserError

_PATH = ("assets.extra", "card.json")
"""TensorFlow Serving leaves `assets.extra` alone, and it travels with the model."""


class _Card(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorCard(_Card):
    """One tensor as it is stored."""

    name: str = Field(description="Of the 32 names of `Variant.tensor_specs`.")
    shape: tuple[int, ...]
    dtype: str = Field(description="float32, or what a compressor stores it as.")


class MemberCard(_Card):
    """One member of the ensemble; a single model is an ensemble of one with weight 1."""

    variant: str = Field(description="Kx-Hy.")
    weight: float = Field(description="Of its probabilities in the ensemble's.")
    gap: float | None = Field(description="GAP on the eval split, as far as it was measured.")
    first_step: int | None = Field(description="Training step of the first snapshot in the average.")
    last_step: int | None = Field(description="Training step of the last one.")
    snapshots: int | None = Field(description="How many were averaged.")
    bytes: int = Field(description="Of the 32 tensors as stored.")
    tensors: tuple[TensorCard, ...]


class ModelCard(_Card):
    """What a SavedModel of ours holds."""

    num_classes: int = Field(description="V.")
    num_mixtures: int = Field(description="M.")
    bytes: int = Field(description="Of all members' tensors as stored: the size that the paper limits.")
    gap: float | None = Field(description="GAP of the whole on the eval split, as far as it was measured.")
    members: tuple[MemberCard, ...]

    @classmethod
    def load(cls, directory: str) -> "ModelCard":
        """The card of a SavedModel directory; UserError when it has none or an unreadable one."""
        import tensorflow as tf

        path = posixpath.join(directory, *_PATH)
        try:
            with tf.io.gfile.GFile(path) as file:
                return cls.model_validate_json(file.read())
        except tf.errors.OpError:
            raise UserError(
                f"{directory} is not a model of this project: it has no {posixpath.join(*_PATH)}. Give the directory "
                "that holds saved_model.pb"
            ) from None
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path} cannot be read as a model card ({reason}): export the model again"
            ) from None

    def save(self, directory: str) -> None:
        """Writes the card into a SavedModel directory."""
        import tensorflow as tf

        path = posixpath.join(directory, *_PATH)
        tf.io.gfile.makedirs(posixpath.dirname(path))
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(self.model_dump_json(indent=2) + "\n")
