"""Scores batches of videos with one model, whose weights can be replaced without building the graph again.

Legend: B videos, T frames, D bytes of a frame, V classes.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer.base.prefetch import prefetch
from trainer.data.input_pipeline import Batch, eval_batches
from trainer.data.tensors import as_tensor
from trainer.data.yt8m import FRAME_SIZE
from trainer.metrics.video_metrics import Metrics, VideoMetrics
from trainer.model.frames import as_stored
from trainer.model.model_spec import ModelSpec
from trainer.model.training_pass import Moments, TrainingPass
from trainer.model.weights import Arrays, check_weights


class Scorer:
    """A model in inference: it sees all frames of a video, uses its moving statistics, and nothing in it is random.

    Args:
        spec: The model whose weights are loaded.
        variables: The weights by name, to share those of a model in training; None to hold own ones, which `load` sets.
    """

    def __init__(
        self,
        spec: ModelSpec,
        variables: Mapping[str, tf.Variable] | None = None,
    ) -> None:
        self.spec = spec
        if variables is None:
            variables = {
                tensor.name: tf.Variable(tf.zeros(tensor.shape), trainable=False) for tensor in spec.tensors
            }
        self._variables = variables
        signature = [tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([None], tf.int32)]
        self._scores = tf.function(self._forward, input_signature=signature, autograph=False)
        self._moments = tf.function(self._batch_moments, input_signature=signature, autograph=False)

    def _forward(self, frames: tf.Tensor, num_frames: tf.Tensor) -> tf.Tensor:
        frames = tf.ensure_shape(frames, [None, None, FRAME_SIZE])
        counts = tf.sequence_mask(num_frames, tf.shape(frames)[1], tf.float32)
        return self.spec.architecture.forward(as_stored(frames), counts, self._variables)

    def _batch_moments(self, frames: tf.Tensor, num_frames: tf.Tensor) -> Moments:
        frames = tf.ensure_shape(frames, [None, None, FRAME_SIZE])
        # Frames count as if they were repeated in place of the padding: every video weighs the same, as in training.
        length, num_frames = tf.shape(frames)[1], num_frames[:, tf.newaxis]
        places = tf.range(length)[tf.newaxis, :]
        counts = length // num_frames + tf.cast(places < length % num_frames, tf.int32)
        counts = tf.where(places < num_frames, tf.cast(counts, tf.float32), 0.0)
        training = TrainingPass()
        self.spec.architecture.forward(as_stored(frames), counts, self._variables, training=training)
        return training.moments

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Assigns weights, of any float type.

        Raises:
            ValueError: The weights are not those of this model; the message names a tensor.
        """
        check_weights(self.spec, weights)
        for name, variable in self._variables.items():
            variable.assign(np.asarray(weights[name], np.float32))

    def scores(self, batch: Batch) -> np.ndarray:
        """Scores a batch of `eval_batches`: float32 [B, V] in [0, 1]."""
        return self._scores(as_tensor(batch["frames"]), batch["num_frames"]).numpy()

    def statistics(self, batches: Iterable[Batch]) -> Arrays:
        """Measures mean and variance of the inputs of the batch normalisations, to replace the moving statistics.

        Moving statistics belong to the weights that they were gathered with. Averaged weights need statistics of their
        own: the average of the statistics does not fit them, and measuring them anew gains some GAP (Izmailov et al.
        2018, section 3.2, https://arxiv.org/abs/1803.05407).

        Args:
            batches: At least one batch of `eval_batches`, from the split that the model was trained on.

        Returns:
            All moving statistics by name, float32; empty for a model without batch normalisation.
        """
        sizes, each = [], []
        for batch in batches:
            sizes.append(len(batch["num_frames"]))
            each.append(self._moments(as_tensor(batch["frames"]), batch["num_frames"]))
        result = {}
        for name in (name for name in each[0] if name.endswith("moving_mean")):
            variance = name.replace("moving_mean", "moving_variance")
            means = np.stack([moments[name] for moments in each])
            variances = np.stack([moments[variance] for moments in each])
            mean = np.average(means, axis=0, weights=sizes)
            # The variance over all batches: the mean of their variances, and the variance of their means.
            total = np.average(variances + (means - mean) ** 2, axis=0, weights=sizes)
            result[name], result[variance] = mean.astype(np.float32), total.astype(np.float32)
        return result


def evaluate(scorer: Scorer, files: Sequence[str], batch_size: int = 64, limit: int | None = None) -> Metrics:
    """Measures the scorer's model on the videos of files.

    Args:
        scorer: The model with its weights.
        files: TFRecord files of valid SequenceExamples.
        batch_size: Number of videos that are scored at once.
        limit: Number of videos after which to stop; None for all.
    """
    metrics = VideoMetrics(scorer.spec.num_classes)
    batches = eval_batches(files, batch_size, scorer.spec.num_classes, limit)
    # Each batch is measured while the next one is scored, and the one after that is read.
    for scores, labels in prefetch((scorer.scores(batch), batch["labels"]) for batch in batches):
        metrics.update(scores, labels)
    return metrics.result()
