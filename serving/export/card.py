"""The card that lies beside the weights of every SavedModel of ours: what is in it, and how big and good it is.

Cards have a version. One of an older version is read as what it meant; keys that a version does not know are passed
over, so a new key with a default needs no new version. What changes the meaning of a card does.

Version 1 (which says none) has the number of mixtures of all members in place of their names, and a tensor's `dtype`
in place of its `encoding`.
"""

import dataclasses
import json
import posixpath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.export.codecs import CODECS
from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.model_spec import ModelSpec

SCHEMA_VERSION = 2

_PATH = ("assets.extra", "card.json")
"""TensorFlow Serving leaves `assets.extra` alone, and it travels with the model."""


class _Card(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TensorCard(_Card):
    """One tensor as it is stored."""

    name: str = Field(description="The name in its architecture's list.")
    shape: tuple[int, ...]
    encoding: str = Field(description="Name of the codec that it is stored by; float32 is as it is.")

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, content: Any) -> Any:
        if isinstance(content, dict) and "dtype" in content:
            return {"encoding": content["dtype"], **content}
        return content


class MemberCard(_Card):
    """One member of the ensemble; a single model is an ensemble of one with weight 1."""

    variant: str = Field(description="Name of its architecture, e.g. K24-H1440.")
    weight: float = Field(description="Factor of its probabilities in the ensemble's.")
    gap: float | None = Field(description="GAP on the eval split, as far as it was measured.")
    first_step: int | None = Field(description="Training step of the first snapshot in the average.")
    last_step: int | None = Field(description="Training step of the last one.")
    snapshots: int | None = Field(description="Number of snapshots that were averaged.")
    bytes: int = Field(description="Bytes of its tensors as stored.")
    tensors: tuple[TensorCard, ...]


class ModelCard(_Card):
    """What a SavedModel of ours holds."""

    schema_version: int = Field(SCHEMA_VERSION, description="Version of the card.")
    num_classes: int = Field(description="Number of classes, V.")
    bytes: int = Field(description="Bytes of all members' tensors as stored: the size that the paper limits.")
    gap: float | None = Field(description="GAP of the whole on the eval split, as far as it was measured.")
    members: tuple[MemberCard, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "num_mixtures" not in content:
            return content
        members = [_with_mixtures(member, content["num_mixtures"]) for member in content.get("members", ())]
        return {**content, "schema_version": SCHEMA_VERSION, "members": members}

    def spec(self, member: int = 0) -> ModelSpec:
        """Returns the model that a member's weights belong to; UserError where this version does not know it."""
        return ModelSpec.parse(self.members[member].variant, self.num_classes)

    def form(self, member: int = 0) -> StoredForm:
        """Returns how a member is stored.

        The name of a form that was asked for may be longer: it may name tensors that other models have.
        """
        tensors = self.members[member].tensors
        return StoredForm.of(
            self.spec(member), {tensor.name: CODECS.parse(tensor.encoding) for tensor in tensors}
        )

    def only_member(self, directory: str) -> MemberCard:
        """Returns the member of a single model; UserError, which names the directory, for an ensemble."""
        if len(self.members) != 1:
            raise UserError(
                f"{directory}: only a single model is compressed. Received: one of {len(self.members)} members"
            )
        return self.members[0]

    @classmethod
    def load(cls, directory: str) -> "ModelCard":
        """Reads the card of a SavedModel directory; UserError when it has none or an unreadable one."""
        import tensorflow as tf

        path = posixpath.join(directory, *_PATH)
        try:
            with tf.io.gfile.GFile(path) as file:
                content = json.loads(file.read())
        except tf.errors.OpError:
            foreign = tf.io.gfile.exists(posixpath.join(directory, "saved_model.pb"))
            advice = (
                "a model that yt8m pushed or imported"
                if foreign
                else "the directory that holds saved_model.pb"
            )
            raise UserError(
                f"{directory} is not a model of this project: it has no {posixpath.join(*_PATH)}. Give {advice}"
            ) from None
        except ValueError as error:
            raise _unreadable(path, error) from None
        version = content.get("schema_version", 1) if isinstance(content, dict) else 1
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise UserError(
                f"{path} was written by a newer version of yt8m (card version {version}, this one reads up to "
                f"{SCHEMA_VERSION}): update yt8m to use this model"
            )
        try:
            return cls.model_validate(content)
        except ValueError as error:
            raise _unreadable(path, error) from None

    def save(self, directory: str) -> None:
        """Writes the card into a SavedModel directory."""
        import tensorflow as tf

        path = posixpath.join(directory, *_PATH)
        tf.io.gfile.makedirs(posixpath.dirname(path))
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(self.model_dump_json(indent=2) + "\n")


def _with_mixtures(member: Any, num_mixtures: Any) -> Any:
    """A member of a card of version 1 with the number of mixtures in its name."""
    try:
        architecture = GatedNetVlad.parse(member["variant"])
        named = dataclasses.replace(architecture, num_mixtures=num_mixtures).name
    except (KeyError, TypeError):
        return member  # no member of a card: validation says what is wrong with it
    return {**member, "variant": named}


def _unreadable(path: str, error: ValueError) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{path} cannot be read as a model card ({reason}): export the model again")
