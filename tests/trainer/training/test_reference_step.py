"""The fast training step and the literal one are the same mathematics."""

import numpy as np
import pytest

from tests.trainer.reference_step import ReferenceStep
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.step import TrainingStep

CLASSES = 30


@pytest.mark.usefixtures("both_kinds")
@pytest.mark.parametrize(("clip", "l2"), [(1.0, 1e-6), (0.01, 0.1)])
def test_twenty_steps_have_the_losses_of_the_literal_step(clip, l2):
    config = TrainingConfig(batch_size=8, learning_rate=1e-3, gradient_clip_norm=clip, l2_penalty=l2)
    fast = TrainingStep(ModelSpec.parse("K4-H8", CLASSES), config)
    literal = ReferenceStep(fast.weights(), config)
    generator = np.random.default_rng(0)
    for step in range(20):
        batch = {
            "frames": generator.integers(0, 256, (8, 4, 1152), np.uint8),
            "counts": np.array(4 * [[2, 1, 2, 0], [1, 1, 2, 1]], np.float32),
            "labels": generator.random((8, CLASSES)) < 0.1,
        }
        assert float(fast.run(batch, step).loss) == pytest.approx(literal.run(batch, step), rel=1e-4), step
    moved = fast.weights()
    for name, value in literal.weights.items():
        if "moving" not in name:
            difference = np.abs(moved[name] - value)
            assert np.quantile(difference, 0.99) < 2e-5, name
            # A weight whose gradient is nothing but rounding goes either way: by a step's rate at most.
            assert difference.max() < config.learning_rate, name
