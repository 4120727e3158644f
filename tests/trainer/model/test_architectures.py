"""The contract that every architecture keeps: add one's name here, and it is tested."""

import numpy as np
import pytest
import tensorflow as tf

from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from tests.tiny_family import Stages
from tests.trainer import reference_families
from trainer.model.architectures import ARCHITECTURES
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.architectures.net_fv import NetFv
from trainer.model.architectures.recurrent import Recurrent
from trainer.model.architectures.transformer import Transformer
from trainer.model.frames import as_stored, dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.training_pass import TrainingPass
from trainer.model.weights import initial_weights
from trainer.training.config import TrainingConfig
from trainer.training.loss import cross_entropy
from trainer.training.step import TrainingStep

CLASSES = 7
# One cluster of audio would have nothing to learn.
NAMES = [
    *("K4-H4", "K5-H5-M2", "Stages-W6", "MLP-H9", "MoE-M2-H9", "Chain-S3-H9-N4", "NeXtVLAD-G4-K6-H8-R2"),
    *("NeXtVLAD-G2-K4-H6-R3-N0", "FV-K4-H5-M2", "DBoF-K16-H6-M2", "GRU-L2-H5-M2", "LSTM-L2-H5-M2"),
    "Transformer-L2-H8-A2-F6-M2",
]


ORDERED = (Recurrent, Transformer)
"""Families that see in which order frames come."""
PER_FEATURE = {
    GatedNetVlad: ["video_vlad/cluster_centers", "audio_vlad/cluster_centers"],
    NetFv: [
        *(f"{side}_fv/{part}" for side in ("video", "audio") for part in ("cluster_centers", "deviations")),
        *(f"frame/bn/{part}" for part in ("beta", "gamma", "moving_mean", "moving_variance")),
    ],
}
"""What has numbers for each feature of a frame and is no kernel."""
BATCH = {
    "frames": np.random.default_rng(2).integers(0, 256, (4, 6, 1152), np.uint8),
    "counts": np.array(4 * [[2, 1, 1, 1, 0, 0]], np.float32),
    "labels": np.eye(4, CLASSES, dtype=bool),
}


def weights_of(spec: ModelSpec) -> dict[str, np.ndarray]:
    """As after training: no statistic is at its initial value."""
    generator = np.random.default_rng(1)
    weights = initial_weights(spec, 0)
    for tensor in spec.tensors:
        if "/bn/" in tensor.name:
            weights[tensor.name] = generator.uniform(0.5, 1.5, tensor.shape).astype(np.float32)
    return weights


def frames_of(videos: int = 4, length: int = 6) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (videos, length, 1152), np.uint8)


def predict(spec, weights, frames, counts, made=dequantize):
    once = tf.sequence_mask(counts, frames.shape[1], tf.float32)
    return spec.architecture.forward(made(frames), once, weights).numpy()


@pytest.fixture
def eager():
    """Functions run operation by operation: to build one more graph of each family takes longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_every_architecture_is_tested():
    assert {type(ARCHITECTURES.parse(name)) for name in NAMES} == set(ARCHITECTURES.kinds)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_a_name_is_letters_digits_and_hyphens_and_that_of_its_architecture(self, name):
        architecture = ARCHITECTURES.parse(name)
        assert architecture.name == str(architecture) == name
        assert ARCHITECTURES.parse(name) == architecture
        assert hash(ARCHITECTURES.parse(name)) == hash(architecture)
        assert name.replace("-", "").isalnum()

    def test_tensors_have_distinct_names_and_something_is_compressible(self, name):
        tensors = ModelSpec.parse(name, CLASSES).tensors
        assert len({tensor.name for tensor in tensors}) == len(tensors)
        assert any(tensor.compressible for tensor in tensors)

    def test_probabilities_of_a_video_depend_on_its_real_frames_alone(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        weights, counts = weights_of(spec), [1, 6, 3, 5]
        together = predict(spec, weights, frames, counts)
        assert together.shape == (4, CLASSES)
        assert together.min() >= 0
        assert together.max() <= 1
        for row, count in enumerate(counts):
            alone = predict(spec, weights, frames[row : row + 1, :count], [count])
            np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-6)

    def test_frames_as_stored_are_the_numbers_they_stand_for(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        weights = weights_of(spec)
        one, other = (predict(spec, weights, frames, [6] * 4, made) for made in (dequantize, as_stored))
        np.testing.assert_allclose(one, other, atol=1e-5)

    def test_predictions_are_those_of_the_literal_equations(self, name):
        spec, frames, counts = ModelSpec.parse(name, CLASSES), frames_of(), [1, 6, 3, 5]
        if isinstance(spec.architecture, Stages):
            pytest.skip("the tests' own family")
        weights = weights_of(spec)
        expected = [
            reference_families.predict(spec.architecture, row[:count], weights)
            for row, count in zip(frames, counts, strict=True)
        ]
        np.testing.assert_allclose(predict(spec, weights, frames, counts), expected, atol=1e-5)

    def test_the_order_of_frames_matters_where_it_must_alone(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        weights = weights_of(spec)
        one, other = (predict(spec, weights, each, [6] * 4) for each in (frames, frames[:, ::-1]))
        if isinstance(spec.architecture, ORDERED):
            assert np.abs(one - other).max(axis=1).min() > 1e-4
        else:
            np.testing.assert_allclose(one, other, atol=1e-6)

    def test_the_rows_of_features_move_with_them(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        weights, counts = weights_of(spec), [6] * 4
        rgb, audio = (np.random.default_rng(3).permutation(size) for size in (1024, 128))
        order = {1024: rgb, 128: audio, 1152: np.concatenate([rgb, 1024 + audio])}
        moved = {}
        for tensor in spec.tensors:
            rows, end = [], 0
            for size, times in tensor.feature_rows:
                rows.append(end + (times * order[size][:, np.newaxis] + np.arange(times)).ravel())
                end += size * times
            rows.append(np.arange(end, tensor.shape[0]))
            moved[tensor.name] = weights[tensor.name][np.concatenate(rows)]
        assert any(tensor.feature_rows for tensor in spec.tensors)
        for tensor in PER_FEATURE.get(type(spec.architecture), ()):
            axis = int(weights[tensor].ndim == 3)
            moved[tensor] = np.take(weights[tensor], order[weights[tensor].shape[axis]], axis)
        np.testing.assert_allclose(
            predict(spec, weights, frames, counts),
            predict(spec, moved, frames[:, :, order[1152]], counts),
            atol=1e-5,
        )

    def test_a_frame_that_counts_twice_is_like_two_frames(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        if isinstance(spec.architecture, ORDERED):
            pytest.skip("two frames are two places, or two steps")
        weights, twice = weights_of(spec), np.repeat(frames, [2, 1, 1, 2, 1, 3], axis=1)
        counts = tf.constant(4 * [[2.0, 1.0, 1.0, 2.0, 1.0, 3.0]])
        result = spec.architecture.forward(dequantize(frames), counts, weights)
        np.testing.assert_allclose(result, predict(spec, weights, twice, [10] * 4), atol=1e-6)

    def test_what_is_compressible_makes_up_the_model_and_survives_float16(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        weights = weights_of(spec)
        encoded = compress(spec, weights, FLOAT16)
        assert sum(value.nbytes for value in encoded.values()) == stored_bytes(spec, FLOAT16)
        decoded = {key: value.decode() for key, value in encoded.items()}
        one, other = (predict(spec, each, frames, [6] * 4) for each in (weights, decoded))
        np.testing.assert_allclose(one, other, atol=5e-3)

    def test_gradients_are_the_plain_ones_a_state_goes_on_bit_for_bit_and_steps_lower_the_loss(self, name):
        spec = ModelSpec.parse(name, CLASSES)
        config = TrainingConfig(batch_size=4, learning_rate=0.01, gradient_clip_norm=1e9, l2_penalty=1e-3)
        step = TrainingStep(spec, config)
        initial = step.weights()
        loss, gradients = _plain_gradients(spec, initial, config.l2_penalty)
        result = step.run(BATCH, 0)
        assert float(result.loss) == pytest.approx(float(_loss(spec, initial)), rel=1e-5)
        for key, gradient in gradients.items():
            found = step.optimizer.slots[f"{key}/m"].numpy() / 0.1  # after one step a tenth of the gradient
            limit = 2e-4 * np.abs(gradient).max() + 1e-6
            np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=limit, err_msg=key)
        # And the plain ones are the slope of the loss: along the gradient it is the gradient's length.
        length = float(tf.linalg.global_norm(list(gradients.values())))
        moved = [
            {key: value + side * gradients.get(key, 0.0) for key, value in initial.items()}
            for side in (1e-3 / length, -1e-3 / length)
        ]
        slope = (loss(moved[0]) - loss(moved[1])) / 2e-3
        assert slope == pytest.approx(length, rel=0.02)

        weights, slots = step.weights(), {key: value.numpy() for key, value in step.optimizer.slots.items()}
        step.run(BATCH, 1)
        expected = step.weights()
        step.load(weights)
        step.optimizer.load(slots)
        step.run(BATCH, 1)
        for key, value in step.weights().items():
            np.testing.assert_array_equal(value, expected[key], err_msg=key)
        for count in range(2, 25):
            last = step.run(BATCH, count)
        assert float(last.loss) < 0.9 * float(result.loss)

    def test_a_pass_that_measures_leaves_all_moving_statistics_and_is_not_random(self, name):
        spec, frames = ModelSpec.parse(name, CLASSES), frames_of()
        passes = [TrainingPass(0.5), TrainingPass()]
        results = [
            spec.architecture.forward(dequantize(frames), None, weights_of(spec), training=one)
            for one in passes
        ]
        np.testing.assert_array_equal(*results)
        assert passes[0].moments.keys() == {one.name for one in spec.tensors if not one.trainable}

    def test_steps_of_mixed_precision_with_dropout_train_every_tensor_and_lower_the_loss(self, name, eager):
        config = TrainingConfig(batch_size=4, learning_rate=0.01, dropout=0.1, precision="bfloat16")
        step = TrainingStep(ModelSpec.parse(name, CLASSES), config)
        before = step.weights()
        losses = [float(step.run(BATCH, count).loss) for count in range(6)]
        assert losses[-1] < losses[0]
        after = step.weights()
        assert [key for key in before if np.array_equal(before[key], after[key])] == []

    def test_training_takes_more_memory_with_more_videos_frames_and_classes(self, name):
        memory = ARCHITECTURES.parse(name).training_bytes
        assert 0 < memory(1, 1, 9) < memory(2, 1, 9) < memory(2, 5, 9) < memory(2, 5, 99)


def _loss(spec, weights, total=False, l2=0.0):
    """Of the batch by TensorFlow alone, with `total` of all outputs and with the penalty."""
    training, labels = TrainingPass(), tf.constant(BATCH["labels"], tf.float32)
    frames = dequantize(tf.constant(BATCH["frames"]))
    result = spec.architecture.forward(frames, tf.constant(BATCH["counts"]), weights, training=training)
    loss = cross_entropy(result, labels)
    if not total:
        return loss
    penalty = [tf.nn.l2_loss(weights[tensor.name]) for tensor in spec.tensors if tensor.l2]
    return training.total(lambda output: cross_entropy(output, labels), loss) + l2 * tf.add_n(penalty)


def _plain_gradients(spec, weights, l2):
    variables = {
        tensor.name: tf.Variable(weights[tensor.name]) for tensor in spec.tensors if tensor.trainable
    }
    with tf.GradientTape() as tape:
        loss = _loss(spec, weights | variables, True, l2)
    gradients = {key: value.numpy() for key, value in tape.gradient(loss, variables).items()}
    return lambda moved: float(_loss(spec, moved, True, l2)), gradients


def test_all_losses_of_an_architecture_are_trained():
    """Against the plain gradient of the sum of losses, written down here."""
    spec = ModelSpec.parse("Stages-W6-N0", CLASSES)
    config = TrainingConfig(batch_size=4, learning_rate=1e-3, gradient_clip_norm=1e9, l2_penalty=0.1)
    step = TrainingStep(spec, config)
    variables = {name: tf.Variable(value) for name, value in step.weights().items()}
    labels = np.eye(4, CLASSES, dtype=np.float32)

    def entropy(p):
        each = labels * tf.math.log(p + 1e-5) + (1 - labels) * tf.math.log(1 - p + 1e-5)
        return -tf.reduce_mean(tf.reduce_sum(each, axis=1))

    with tf.GradientTape() as tape:
        hidden = tf.reduce_mean(dequantize(frames_of()).values() @ variables["frame/weights"], axis=1)
        stage = variables["stage/weights"]
        first = tf.sigmoid(hidden @ stage)
        second = tf.sigmoid(((hidden + first @ tf.transpose(stage)) @ stage) * variables["stage/scale"])
        loss = (
            entropy(second) + 0.5 * entropy(first) + 0.01 * tf.reduce_mean(tf.reduce_sum(hidden**2, axis=1))
        )
        loss += 0.1 * tf.nn.l2_loss(stage)
    gradients = tape.gradient(loss, list(variables.values()))
    batch = {"frames": frames_of(), "counts": np.ones((4, 6), np.float32), "labels": labels > 0}
    result = step.run(batch, 0)
    assert float(result.gradient_norm) == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-4)
    assert float(result.loss) == pytest.approx(float(entropy(second)), rel=1e-5)
    for name, gradient in zip(variables, gradients, strict=True):
        found = (
            step.optimizer.slots[f"{name}/m"].numpy() / 0.1
        )  # after the first step: a tenth of the gradient
        np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


def test_seeds_of_a_pass_differ():
    one = TrainingPass(seed=tf.constant([1, 2], tf.int64))
    seeds = [tuple(one.next_seed().numpy()) for _ in range(4)]
    assert seeds[0] == (1, 2)
    assert len(set(seeds)) == 4
    with pytest.raises(ValueError, match="nothing may be random"):
        TrainingPass().next_seed()


def test_the_mean_of_frames_is_that_of_the_real_ones():
    frames = frames_of(2, 3)
    unit = dequantize(frames).values().numpy()
    assert np.linalg.norm(unit, axis=-1) == pytest.approx(np.ones((2, 3)), rel=1e-5)
    for made in (dequantize, as_stored):
        np.testing.assert_allclose(made(frames).mean(), unit.mean(axis=1), atol=1e-6)
        counts = tf.constant([[1.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
        expected = np.stack([(unit[0, 0] + 2 * unit[0, 1]) / 3, unit[1, 0]])
        np.testing.assert_allclose(made(frames).mean(counts), expected, atol=1e-6)
