"""Distillation: training towards what a teacher says of each video, besides its labels.

Sources: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531;
for a teacher that sees what the student sees Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and
consistent", https://arxiv.org/abs/2106.05237.

Legend: B videos, T frames, V classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.data.labels import Identified, label_rows
from trainer.data.soft_targets import SoftTargets, softened
from trainer.model.frames import Frames
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays
from trainer.training.config import DistillationConfig


class TeacherMember(NamedTuple):
    """A model of an ensemble that teaches."""

    spec: ModelSpec
    weights: Arrays
    share: float
    """Factor of its probabilities in the ensemble's."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """An ensemble that scores every batch as the student sees it.

    It has never seen a blend of two videos, so it cannot know its labels by heart.

    Attributes:
        members: Its models, all of the same classes.
        identity: What tells it from other teachers; a part of the fingerprint of the student's run.
    """

    members: Sequence[TeacherMember]
    identity: str

    def check(self, num_classes: int) -> None:
        """Raises UserError if the teacher knows another number of classes than the student is to learn."""
        _check_classes(self.members[0].spec.num_classes, num_classes)

    def loaded(self, dtype: tf.DType) -> Callable[[Frames, tf.Tensor | None], tf.Tensor]:
        """Loads the weights into memory, on each device of the current strategy, decoded: 4 bytes a weight.

        Args:
            dtype: Type of the matrix products.

        Returns:
            The function from B videos to probabilities, float32 [B, V]. It takes the frames and how often each counts,
            float32 [B, T], or None for once.
        """
        members = [
            (
                member.spec.architecture,
                {name: tf.Variable(value, trainable=False) for name, value in member.weights.items()},
                member.share,
            )
            for member in self.members
        ]

        def score(frames: Frames, counts: tf.Tensor | None) -> tf.Tensor:
            return tf.add_n(
                [
                    share * architecture.forward(frames, counts, weights, dtype=dtype)
                    for architecture, weights, share in members
                ]
            )

        return score


def taught(labels: tf.Tensor, probabilities: tf.Tensor, config: DistillationConfig) -> tf.Tensor:
    """Blends targets of B videos, float32 [B, V], with what a teacher says of them, likewise."""
    return config.weight * softened(probabilities, config.temperature) + (1.0 - config.weight) * labels


def _check_classes(taught: int, learnt: int) -> None:
    if taught != learnt:
        raise UserError(
            f"the teacher knows {taught} classes and the student is to learn {learnt}: choose a teacher of the same "
            "classes"
        )


class DistilledTargets:
    """Makes the targets of a student's batches.

    The cross-entropy is linear in its targets, so the weighted sum of both losses is the loss of one blend of the
    targets. It is made where batches are made, ahead of the training step.

    Args:
        soft_targets: What the teacher says.
        config: Weight and temperature.
        num_classes: V.

    Raises:
        UserError: The teacher knows another number of classes.
    """

    def __init__(self, soft_targets: SoftTargets, config: DistillationConfig, num_classes: int) -> None:
        _check_classes(soft_targets.manifest.num_classes, num_classes)
        self._soft_targets, self._config = soft_targets, config
        self._videos = self._known = 0

    def __call__(self, videos: Sequence[Identified], num_classes: int) -> np.ndarray:
        """Returns float32 [B, V] in [0, 1]. A video that the teacher has not seen has its labels alone.

        Raises:
            UserError: The teacher has seen none of the first videos.
        """
        targets = label_rows(videos, num_classes).astype(np.float32)
        self._known += self._soft_targets.blend(
            [video.id for video in videos], targets, self._config.weight, self._config.temperature
        )
        self._videos += len(videos)
        if not self._known:
            raise UserError(
                f"the soft targets have none of the first {self._videos} videos: the teacher scored other files than "
                "the student is trained on"
            )
        return targets
