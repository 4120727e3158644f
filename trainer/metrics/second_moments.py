"""Second moments of what goes into a model's big kernels, over real videos: what compressors round by.

Legend: B videos, T frames, D bytes of a frame, P rows of a kernel, G groups of them, R rows of a group.
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
from trainer.model.moment_groups import moments_shapes
from trainer.model.weights import Arrays, check_weights


def second_moments(
    spec: ModelSpec, weights: Mapping[str, np.ndarray], batches: Iterable[Batch]
) -> tuple[Arrays, int]:
    """Sums X^T X of the inputs X of each big kernel over all videos, in one pass.

    Of a tall kernel's X^T X only the blocks along the diagonal are kept (see `moments_shape`): the moments of the rows
    of a group with each other.

    Args:
        spec: The model that the weights belong to.
        weights: All tensors of the model, float32.
        batches: Batches that `eval_batches` makes, of videos that nothing is measured on.

    Returns:
        float32 [G, R, R] by the names of the compressible tensors [P, Q] that videos reach through
        `trainer.model.layers.matmul`; and the number of videos.
    """
    check_weights(spec, weights)
    variables = {name: tf.Variable(np.asarray(weights[name], np.float32)) for name in weights}
    totals = {
        name: tf.Variable(tf.zeros(shape), trainable=False) for name, shape in moments_shapes(spec).items()
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
