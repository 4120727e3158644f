"""Adam with the paper's clipping and decay.

Keras' Adam runs tens of small operations for each variable; on CPUs the fused ResourceApplyAdam is over 100 ms a step
faster at K16-H512. The authors' optimizer, tf.compat.v1's AdamOptimizer, runs that operation as well. The kernels of
dense layers, nearly all of the weights, have an operation of this project's own on CPUs.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.product import Factors
from trainer.native import operations
from trainer.training.config import TrainingConfig

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def learning_rate(config: TrainingConfig, step: tf.Tensor | int) -> tf.Tensor:
    """Returns the learning rate of a step.

    The paper's staircase is base * decay ** (examples seen // examples to decay). The cosine is
    base * (1 + cos(pi * share)) / 2, where the share of the steps that are done counts from the end of the warm-up, and
    during the warm-up the rate rises in a line (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983; Goyal et
    al. 2017, https://arxiv.org/abs/1706.02677).

    Args:
        config: Base rate, schedule, warm-up, decay, examples to decay, steps and batch sizes.
        step: Number of the step, from 0 on.

    Returns:
        float32 [].
    """
    step = tf.cast(step, tf.int64)
    if config.rate_schedule == "cosine":
        done = tf.cast(step - config.warmup_steps, tf.float32) / max(config.steps - config.warmup_steps, 1)
        rate = config.learning_rate * 0.5 * (1.0 + tf.cos(np.pi * tf.clip_by_value(done, 0.0, 1.0)))
    else:
        seen, size = step * config.batch_size, config.batch_size
        for stage in config.batch_schedule:
            seen += tf.maximum(step - stage.step, 0) * (stage.batch_size - size)
            size = stage.batch_size
        exponent = tf.cast(seen // config.learning_rate_decay_examples, tf.float32)
        rate = config.learning_rate * tf.pow(tf.constant(config.learning_rate_decay), exponent)
    if config.warmup_steps:
        rate *= tf.minimum(1.0, tf.cast(step + 1, tf.float32) / config.warmup_steps)
    return rate


class Adam:
    """Adam (Kingma & Ba 2015) on named variables.

    Args:
        variables: The trained variables by name.
        config: Learning rate, clipping, and the L2 penalty.
        decayed: Names of the kernels that the L2 penalty applies to.
        dtype: Type in which TensorFlow multiplies the factors of the kernels' gradients; this project's own operation
            uses float32.
        row_factors: Factors of the learning rate of a matrix's rows, float32 [P], by its name; None where all have the
            same.

    Attributes:
        slots: Adam's two moments of every tensor, float32, under the names `<tensor>/m` and `<tensor>/v`.
    """

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        config: TrainingConfig,
        decayed: Collection[str] = (),
        dtype: tf.DType = tf.float32,
        row_factors: Mapping[str, np.ndarray | None] | None = None,
    ) -> None:
        self._variables = variables
        self._config = config
        self._penalties = dict.fromkeys(decayed, config.l2_penalty)
        self._dtype = dtype
        self._row_factors = {name: each for name, each in (row_factors or {}).items() if each is not None}
        self.slots = {
            f"{name}/{slot}": tf.Variable(tf.zeros(variable.shape), trainable=False)
            for name, variable in variables.items()
            for slot in ("m", "v")
        }

    def apply(self, gradients: Mapping[str, tf.Tensor | Factors], step: tf.Tensor) -> tf.Tensor:
        """Updates all variables once. Each gradient, its L2 term included, is clipped by its own norm.

        It works on the raw handles, so that it also runs inside a replica of a distribution strategy, where every
        replica applies the same, already reduced gradients to its own copy.

        Args:
            gradients: Gradient of each variable by its name, without the L2 term; for a kernel a tensor or factors.
            step: Number of the step, int64 [], from 0 on.

        Returns:
            L2 norm over all gradients before they are clipped, float32 [].
        """
        rates = self._rates(step)
        limit = self._config.gradient_clip_norm
        squares = []
        # A kernel must not be updated while backpropagation still reads it, or the update would copy it. Once all of
        # these right factors are computed, backpropagation reads the first kernel at most, and that is updated last.
        # Kernels are updated one at a time, since each update takes all cores.
        before: list[Any] = [each.right for each in gradients.values() if isinstance(each, Factors)]
        for name, gradient in reversed(gradients.items()):
            if name in self._penalties and not isinstance(gradient, Factors):
                gradient += self._penalties[name] * self._variables[name]
            square = self._square(name, gradient)
            squares.append(square)
            scale = limit / tf.maximum(tf.sqrt(square), limit)
            state = {
                "var": self._variables[name].handle,
                "m": self.slots[f"{name}/m"].handle,
                "v": self.slots[f"{name}/v"].handle,
            }
            if name in self._row_factors:
                state["lr"] = rates["lr"] * self._row_factors[name]
            if isinstance(gradient, Factors):
                with tf.control_dependencies(before):
                    before = [self._apply_factors(name, gradient, scale, rates | state)]
            else:
                _apply(grad=scale * gradient, **(rates | state))
        return tf.sqrt(tf.add_n(squares))

    def load(self, slots: Mapping[str, np.ndarray]) -> None:
        """Assigns saved slots, by the names in `slots`."""
        for name, variable in self.slots.items():
            variable.assign(slots[name])

    def _rates(self, step: tf.Tensor) -> dict[str, Any]:
        count = tf.cast(step + 1, tf.float32)
        return {
            "beta1_power": tf.pow(_BETA1, count),
            "beta2_power": tf.pow(_BETA2, count),
            "lr": learning_rate(self._config, step),
            "beta1": _BETA1,
            "beta2": _BETA2,
            "epsilon": _EPSILON,
        }

    def _square(self, name: str, gradient: tf.Tensor | Factors) -> tf.Tensor:
        """Returns the squared norm of the gradient with its L2 term, float32 []."""
        if not isinstance(gradient, Factors):
            return tf.reduce_sum(tf.square(gradient))
        square = gradient.square()
        if penalty := self._penalties.get(name):
            weights = 2.0 * tf.nn.l2_loss(self._variables[name])
            square = tf.maximum(square + 2.0 * penalty * gradient.along + penalty**2 * weights, 0.0)
        return square

    def _apply_factors(
        self, name: str, gradient: Factors, scale: tf.Tensor, arguments: Mapping[str, Any]
    ) -> tf.Operation | None:
        penalty = self._penalties.get(name, 0.0)
        if native := operations():
            return native.apply_adam_of_product(
                left=gradient.left, right=gradient.right, scale=scale, penalty=penalty, **arguments
            )
        left, right = tf.cast(gradient.left, self._dtype), tf.cast(scale * gradient.right, self._dtype)
        grad = tf.cast(tf.matmul(left, right, transpose_a=True), tf.float32)
        if penalty:
            grad += scale * penalty * self._variables[name]
        return _apply(grad=grad, **arguments)


def _apply(
    var: tf.Tensor, m: tf.Tensor, v: tf.Tensor, lr: tf.Tensor, grad: tf.Tensor, **rates: Any
) -> tf.Operation:
    """Runs ResourceApplyAdam, or, where each row has a rate of its own, lr [P], what it would compute."""
    if not lr.shape.rank:
        return tf.raw_ops.ResourceApplyAdam(var=var, m=m, v=v, lr=lr, grad=grad, **rates)
    first, second = (tf.raw_ops.ReadVariableOp(resource=slot, dtype=tf.float32) for slot in (m, v))
    first += (grad - first) * (1 - rates["beta1"])
    second += (tf.square(grad) - second) * (1 - rates["beta2"])
    tf.raw_ops.AssignVariableOp(resource=m, value=first)
    tf.raw_ops.AssignVariableOp(resource=v, value=second)
    rate = lr * tf.sqrt(1 - rates["beta2_power"]) / (1 - rates["beta1_power"])
    change = tf.expand_dims(rate, 1) * first / (tf.sqrt(second) + rates["epsilon"])
    return tf.raw_ops.AssignSubVariableOp(resource=var, value=change)
