"""Distillation: training towards what a teacher says of each video, besides its labels.

Source: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531.

Legend: B videos, V classes.
"""

from collections.abc import Sequence

import numpy as np

from trainer.base.errors import UserError
from trainer.data.labels import Identified, label_rows
from trainer.data.soft_targets import SoftTargets
from trainer.training.config import DistillationConfig


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
        taught = soft_targets.manifest.num_classes
        if taught != num_classes:
            raise UserError(
                f"the teacher knows {taught} classes and the student is to learn {num_classes}: choose a teacher of "
                "the same classes"
            )
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
