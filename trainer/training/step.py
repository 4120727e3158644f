"""One step of training, on one device or on several.

Legend: B videos, T frames, D bytes of a frame, V classes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.data.input_pipeline import Batch
from trainer.data.tensors import as_tensor
from trainer.data.yt8m import FRAME_SIZE
from trainer.model.frames import as_stored, dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.product import Factors, Product, dense_gradient
from trainer.model.reverse_whitening import row_factors
from trainer.model.training_pass import Moments, TrainingPass
from trainer.model.weights import check_weights, initial_weights
from trainer.training.config import TrainingConfig
from trainer.training.distillation import Teacher, taught
from trainer.training.loss import cross_entropy, smoothed
from trainer.training.mixup import mixup, repeated
from trainer.training.optimizer import Adam

_INPUTS = ("frames", "counts", "labels")
_DTYPES = {"float32": tf.float32, "bfloat16": tf.bfloat16}


class StepResult(NamedTuple):
    """The figures of a step that are logged, each float32 []."""

    loss: tf.Tensor
    """Cross-entropy of the batch before the update, without the L2 penalty and the losses of `TrainingPass`."""
    gradient_norm: tf.Tensor
    """L2 norm over all gradients before they are clipped."""


class TrainingStep:
    """The weights of a model, its optimizer, and the function that updates both by one batch.

    Args:
        spec: The model that is trained.
        config: Settings of the training.
        strategy: Strategy of tf.distribute that says on which devices the steps run; None for the current one. With
            several replicas each takes its share of the batch, gradients are summed and batch statistics averaged.
        teacher: Scores each batch for a student; needed where `config.distillation` is consistent.
    """

    def __init__(
        self,
        spec: ModelSpec,
        config: TrainingConfig,
        strategy: tf.distribute.Strategy | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.spec = spec
        self.config = config
        self.strategy = strategy or tf.distribute.get_strategy()
        initial = initial_weights(spec, config.seed, config.reverse_whitening)
        with self.strategy.scope():
            self.variables = {
                tensor.name: tf.Variable(initial[tensor.name], trainable=tensor.trainable, name=tensor.name)
                for tensor in spec.tensors
            }
            trained = {
                tensor.name: self.variables[tensor.name] for tensor in spec.tensors if tensor.trainable
            }
            self.optimizer = Adam(
                trained,
                config,
                [tensor.name for tensor in spec.tensors if tensor.trainable and tensor.l2],
                _DTYPES[config.precision],
                {tensor.name: row_factors(tensor, config.reverse_whitening) for tensor in spec.tensors},
            )
            self._teacher = teacher and teacher.loaded(_DTYPES[config.precision])
        self._trained = trained
        # The number of frames differs from batch to batch; replicas' shares cannot be described beforehand.
        alone = self.strategy.num_replicas_in_sync == 1
        self._run = tf.function(
            self._distributed,
            input_signature=self._signature() if alone else None,
            reduce_retracing=not alone,
            autograph=False,
        )

    def run(self, batch: Batch, step: int) -> StepResult:
        """Updates the weights once.

        Args:
            batch: A batch of `train_batches`.
            step: Number of the step, from 0 on.
        """
        return self._run(self._shares(batch), tf.constant(step, tf.int64))

    def weights(self) -> dict[str, np.ndarray]:
        """Returns copies of the weights by name, float32."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Assigns weights to the variables.

        Raises:
            ValueError: The weights are not those of this model; the message names a tensor.
        """
        check_weights(self.spec, weights)
        for name, variable in self.variables.items():
            variable.assign(weights[name])

    def _signature(self) -> tuple[dict[str, tf.TensorSpec], tf.TensorSpec]:
        batch = {
            "frames": tf.TensorSpec([None, None, FRAME_SIZE], tf.uint8),
            "counts": tf.TensorSpec([None, None], tf.float32),
            "labels": tf.TensorSpec(
                [None, self.spec.num_classes], tf.float32 if self.config.uses_soft_targets else tf.bool
            ),
        }
        return batch, tf.TensorSpec([], tf.int64)

    def _shares(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns what a step needs of a batch; with several replicas, a part of the videos for each."""
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            return {name: as_tensor(batch[name]) for name in _INPUTS}
        parts = {name: np.array_split(batch[name], replicas) for name in _INPUTS}
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: {
                name: tf.convert_to_tensor(part[context.replica_id_in_sync_group])
                for name, part in parts.items()
            }
        )

    def _distributed(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> StepResult:
        per_replica = self.strategy.run(self._replica, args=(batch, step))
        # Both values are already global on every replica.
        return StepResult(*(self.strategy.experimental_local_results(value)[0] for value in per_replica))

    def _replica(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> StepResult:
        config = self.config
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        # What is random differs from step to step and from replica to replica, and from seed to seed.
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        seed = tf.stack([tf.constant(config.seed, tf.int64), step * replicas + replica])
        labels = smoothed(tf.cast(batch["labels"], tf.float32), config.label_smoothing)
        if config.mixup:
            frames = dequantize(repeated(batch["frames"], batch["counts"], config.frames_per_video))
            frames, labels = mixup(frames, labels, config.mixup, seed)
            counts = None
        else:
            frames, counts = as_stored(batch["frames"]), batch["counts"]
        if self._teacher:
            labels = taught(labels, self._teacher(frames, counts), config.distillation)
        training = TrainingPass(config.dropout, seed)
        products = {name: Product(value) for name, value in self._trained.items() if value.shape.rank == 2}
        with tf.GradientTape() as tape:
            probabilities = self.spec.architecture.forward(
                frames,
                counts,
                self.variables | products,
                training=training,
                dtype=_DTYPES[config.precision],
            )
            loss = cross_entropy(probabilities, labels)
            total = training.total(lambda output: cross_entropy(output, labels), loss) / replicas
        sources = self._trained | {name: product.sources for name, product in products.items()}
        found = tape.gradient(total, sources)
        gradients = {
            name: products[name].gradient(found[name])
            if name in products
            else dense_gradient(found[name], variable.shape)
            for name, variable in self._trained.items()
        }
        factors = {name: value for name, value in gradients.items() if isinstance(value, Factors)}
        gradients = {name: value for name, value in gradients.items() if name not in factors}
        moments = training.moments
        if replicas > 1:
            loss, gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, (loss / replicas, gradients))
            factors = {name: of_kernel.gathered(context) for name, of_kernel in factors.items()}
            if moments:
                moments = context.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
        gradients |= factors
        norm = self.optimizer.apply(gradients, step)
        self._update_moving(moments, step)
        return StepResult(loss, norm)

    def _update_moving(self, moments: Moments, step: tf.Tensor) -> None:
        """Updates the moving statistics; their decay ramps up, so that they are useful after few steps as well."""
        count = tf.cast(step, tf.float32)
        decay = tf.minimum(self.config.batch_norm_decay, (1.0 + count) / (10.0 + count))
        for name, batch_value in moments.items():
            variable = self.variables[name]
            value = decay * variable + (1.0 - decay) * batch_value
            tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
