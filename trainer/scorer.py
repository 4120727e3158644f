"""Scores of one model on batches of videos; new weights can be put in without building the graph again.

Legend: B videos, T frames, D bytes of a frame, V classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer.input_pipeline import eval_batches
from trainer.metrics import Metrics, VideoMetrics
from trainer.network import dequantize, gated_net_vlad
from trainer.variant import Variant
from trainer.weights import check_weights
from trainer.yt8m import NUM_CLASSES, NUM_MIXTURES


class Scorer:
    """A Gated NetVLAD in inference: all real frames, moving statistics, nothing random.

    Args:
        variant: Of the weights that will be loaded.
        num_classes: V.
        num_mixtures: M.
        variables: Share these (a model in training) instead of holding own ones.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int = NUM_CLASSES,
        num_mixtures: int = NUM_MIXTURES,
        variables: Mapping[str, tf.Variable] | None = None,
    ) -> None:
        self.variant = variant
        self.num_classes = num_classes
        self.num_mixtures = num_mixtures
        if variables is None:
            variables = {
                spec.name: tf.Variable(tf.zeros(spec.shape), trainable=False)
                for spec in variant.tensor_specs(num_classes, num_mixtures)
            }
        self._variables = variables
        self._function = tf.function(
            self._forward,
            input_signature=[tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([None], tf.int32)],
        )

    def _forward(self, frames: tf.Tensor, num_frames: tf.Tensor) -> tf.Tensor:
        frames = tf.ensure_shape(frames, [None, None, 1152])
        mask = tf.sequence_mask(num_frames, tf.shape(frames)[1], tf.float32)
        return gated_net_vlad(dequantize(frames), mask, self._variables)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Puts weights (of any float type) in place; ValueError names a tensor that does not fit."""
        check_weights(self.variant, weights, self.num_classes, self.num_mixtures)
        for name, variable in self._variables.items():
            variable.assign(np.asarray(weights[name], np.float32))

    def scores(self, batch: Mapping[str, tf.Tensor]) -> np.ndarray:
        """float32 [B, V] of a batch of `eval_batches`."""
        return self._function(batch["frames"], batch["num_frames"]).numpy()


def evaluate(
    scorer: Scorer, files: Sequence[str], batch_size: int = 128, limit: int | None = None
) -> Metrics:
    """GAP and friends of the scorer's weights on the videos of TFRecord files (`limit`: on the first so many)."""
    metrics = VideoMetrics(scorer.num_classes)
    for batch in eval_batches(files, batch_size, scorer.num_classes, limit):
        metrics.update(scorer.scores(batch), batch["labels"].numpy())
    return metrics.result()
