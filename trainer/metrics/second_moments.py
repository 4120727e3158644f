"""Second moments of what goes into a model's big kernels, over real videos: what compressors round by.

Legend: B videos, T frames, D bytes of a frame, P rows of a kernel.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from trainer.data.input_pipeline import Batch
from trainer.data.tensors import as_tensor
from trainer.data.yt8m import FRAME_SIZE
from trainer.model.frames import as_stored
from trainer.model.kernel_inputs import KernelInputs
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays, check_weights

MAX_ROWS = 4096
"""Kernels of more rows are left out: their moments would take more memory than the kernels (64 MiB are the most)."""


def second_moments(
    spec: ModelSpec, weights: Mapping[str, np.ndarray], batches: Iterable[Batch]
) -> tuple[Arrays, int]:
    """Sums X^T X of the inputs X of each big kernel over all videos.

    Args:
        spec: The model that the weights belong to.
        weights: All tensors of the model, float32.
        batches: Batches that `eval_batches` makes, of videos that nothing is measured on.

    Returns:
        float32 [P, P] by the names of the compressible tensors [P, Q] of at most MAX_ROWS rows that videos reach
        through `trainer.model.layers.matmul`; and the number of videos.
    """
    check_weights(spec, weights)
    variables = {name: tf.Variable(np.asarray(weights[name], np.float32)) for name in weights}
    totals = {
        tensor.name: tf.Variable(tf.zeros([tensor.shape[0]] * 2), trainable=False)
        for tensor in spec.tensors
        if tensor.compressible and len(tensor.shape) == 2 and tensor.shape[0] <= MAX_ROWS
    }

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def add(frames: tf.Tensor, num_frames: tf.Tensor) -> None:
        frames = tf.ensure_shape(frames, [None, None, FRAME_SIZE])
        counts = tf.sequence_mask(num_frames, tf.shape(frames)[1], tf.float32)
        seen = {name: KernelInputs(variables[name], counts, total) for name, total in totals.items()}
        spec.architecture.forward(as_stored(frames), counts, {**variables, **seen})

    videos = 0
    for batch in batches:
        add(as_tensor(batch["frames"]), batch["num_frames"])
        videos += len(batch["num_frames"])
    found = {name: total.numpy() for name, total in totals.items()}
    return {name: moments for name, moments in found.items() if moments.any()}, videos
