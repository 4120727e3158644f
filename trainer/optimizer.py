"""Adam with the paper's clipping and decay, in one pass a tensor.

Keras' Adam is tens of small kernels a variable; on CPUs the fused ResourceApplyAdam is over 100 ms a step faster at
K16-H512. It is what tf.compat.v1's AdamOptimizer, which the authors used, runs.
"""

from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from trainer.config import TrainingConfig

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def learning_rate(config: TrainingConfig, step: tf.Tensor | int) -> tf.Tensor:
    """float32 rate of 0-based `step`: base * decay ** (examples seen // decay examples) (paper, staircase)."""
    examples = tf.cast(step, tf.int64) * config.batch_size
    exponent = tf.cast(examples // config.learning_rate_decay_examples, tf.float32)
    return config.learning_rate * tf.pow(tf.constant(config.learning_rate_decay), exponent)


class Adam:
    """Adam (Kingma & Ba 2015) on named variables.

    Args:
        variables: What is trained.
        config: Rates, clipping, and the L2 penalty.
        decayed: Names of the variables that the penalty is on.

    Attributes:
        slots: `<tensor>/m` and `<tensor>/v` for every tensor, float32 like the tensor.
    """

    def __init__(
        self, variables: Mapping[str, tf.Variable], config: TrainingConfig, decayed: Collection[str] = ()
    ) -> None:
        self._variables = variables
        self._config = config
        self._sums = {
            name: tf.Variable(tf.zeros(variables[name].shape), trainable=False)
            for name in decayed
            if config.l2_penalty
        }
        self.slots = {
            f"{name}/{slot}": tf.Variable(tf.zeros(variable.shape), trainable=False)
            for name, variable in variables.items()
            for slot in ("m", "v")
        }

    def apply(self, gradients: Mapping[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        """One update, each gradient with its L2 term clipped to its own norm; returns the norm over all, unclipped.

        Works on the raw handles so that it also runs inside a replica of a distribution strategy, where every
        replica applies the same, already reduced gradients to its own copy.
        """
        rate = learning_rate(self._config, step)
        count = tf.cast(step + 1, tf.float32)
        limit = self._config.gradient_clip_norm
        squares = []
        for name, gradient in gradients.items():
            if name in self._sums:
                gradient = self._with_penalty(name, gradient)
            square = 2.0 * tf.nn.l2_loss(gradient)
            squares.append(square)
            norm = tf.sqrt(square)
            # Most are within the limit, and a pass over a large gradient takes 1 % of a step.
            gradient = tf.cond(norm > limit, lambda g=gradient, n=norm: g * (limit / n), lambda g=gradient: g)
            tf.raw_ops.ResourceApplyAdam(
                var=self._variables[name].handle,
                m=self.slots[f"{name}/m"].handle,
                v=self.slots[f"{name}/v"].handle,
                beta1_power=tf.pow(_BETA1, count),
                beta2_power=tf.pow(_BETA2, count),
                lr=rate,
                beta1=_BETA1,
                beta2=_BETA2,
                epsilon=_EPSILON,
                grad=gradient,
                use_locking=False,
                use_nesterov=False,
            )
        return tf.sqrt(tf.add_n(squares))

    def _with_penalty(self, name: str, gradient: tf.Tensor) -> tf.Tensor:
        """gradient + l2_penalty * variable, in one pass: as a step of gradient descent of the gradient itself.

        The variable takes the gradient's memory over. The product and the sum as two operations would be two passes
        and as much fresh memory as the kernels of gates and experts have, 3 % of a step of K16-H512.
        """
        handle = self._sums[name].handle
        tf.raw_ops.AssignVariableOp(resource=handle, value=gradient)
        tf.raw_ops.ResourceApplyGradientDescent(
            var=handle, alpha=-self._config.l2_penalty, delta=self._variables[name], use_locking=False
        )
        return tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)

    def load(self, slots: Mapping[str, np.ndarray]) -> None:
        """Puts saved slots in place."""
        for name, variable in self.slots.items():
            variable.assign(slots[name])
