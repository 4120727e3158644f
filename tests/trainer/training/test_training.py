"""The optimizer by hand, learning, and runs that are stopped and go on."""

import logging
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from tests.records import write_shards
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot, write_snapshot
from trainer.data.input_pipeline import Batch, train_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.training_pass import TrainingPass
from trainer.training import huge_pages
from trainer.training.config import TrainingConfig
from trainer.training.loop import train
from trainer.training.optimizer import Adam, learning_rate
from trainer.training.step import TrainingStep

CLASSES = 12
SPEC = ModelSpec.parse("K2-H6", CLASSES)
CONFIG = TrainingConfig(
    steps=24,
    batch_size=8,
    frames_per_video=2,
    learning_rate=0.01,
    snapshot_every=8,
    state_every=5,
    log_every=10,
    eval_slice=16,
    shuffle_buffer=32,
    files_per_group=2,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), shards=4, videos=20, num_classes=CLASSES)


def test_learning_rate_decays_in_steps():
    config = CONFIG.model_copy(
        update={"learning_rate": 1.0, "learning_rate_decay": 0.5, "learning_rate_decay_examples": 80}
    )
    rates = [float(learning_rate(config, step)) for step in (0, 9, 10, 19, 20, 30)]
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.125])


def test_each_gradient_is_clipped_by_itself_and_adam_s_first_step_has_the_size_of_the_rate():
    variables = {"a": tf.Variable([1.0, 1.0]), "b": tf.Variable([1.0])}
    adam = Adam(variables, CONFIG)
    norm = adam.apply({"a": tf.constant([30.0, -40.0]), "b": tf.constant([0.5])}, tf.constant(0, tf.int64))
    assert float(norm) == pytest.approx(np.sqrt(50**2 + 0.5**2))
    # m = 0.1 g and v = 0.001 g^2 after the first step, of the clipped gradient [0.6, -0.8] and of 0.5 as it is.
    assert adam.slots["a/m"].numpy() == pytest.approx([0.06, -0.08], rel=1e-5)
    assert adam.slots["b/v"].numpy() == pytest.approx([0.001 * 0.25], rel=1e-4)
    assert variables["a"].numpy() == pytest.approx([1 - 0.01, 1 + 0.01], rel=1e-5)
    assert variables["b"].numpy() == pytest.approx([1 - 0.01], rel=1e-5)


def test_moving_statistics_become_those_of_the_batch(shards):
    still = CONFIG.model_copy(update={"learning_rate": 1e-12})
    step = TrainingStep(SPEC, still)
    batch = next(iter(_batches(shards)))
    for count in range(60):
        step.run(batch, count)
    training = TrainingPass()
    SPEC.architecture.forward(dequantize(batch["frames"]), batch["counts"], step.variables, training=training)
    assert len(training.moments) == 10
    for name, expected in training.moments.items():
        np.testing.assert_allclose(step.variables[name], expected, rtol=1e-3, atol=1e-6, err_msg=name)


def test_l2_penalty_pulls_the_kernels_of_gates_and_experts_alone(shards):
    batch = next(iter(_batches(shards)))
    ends = []
    for penalty in (0.0, 1e3):
        step = TrainingStep(SPEC, CONFIG.model_copy(update={"l2_penalty": penalty}))
        step.run(batch, 0)
        ends.append(step.weights())
    # Another graph rounds differently; Adam's first step has the size of the rate.
    changed = {
        name for name in ends[0] if np.abs(ends[0][name] - ends[1][name]).max() > CONFIG.learning_rate / 10
    }
    assert changed == {"gates/weights", "experts/weights"}


def test_training_learns(shards, tmp_path):
    config = CONFIG.model_copy(update={"steps": 150, "snapshot_every": 150, "state_every": 150})
    before = Scorer(SPEC)
    before.load(TrainingStep(SPEC, config).weights())
    trained = train(SPEC, config, shards, shards, str(tmp_path))
    after = Scorer(SPEC)
    after.load(trained.weights())
    assert evaluate(after, shards).gap > evaluate(before, shards).gap + 0.3


def test_speed_and_time_left_are_told_from_the_second_step_on_long_before_the_first_line(
    shards, tmp_path, monkeypatch
):
    told = []
    logger = logging.getLogger("yt8m.train")
    monkeypatch.setattr("trainer.training.training_log._SECONDS_BETWEEN_GLANCES", 1e-6)
    monkeypatch.setattr(logger, "handle", lambda record: told.append(record))
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.manager._clear_cache()
    train(SPEC, CONFIG.model_copy(update={"steps": 8, "log_every": 100}), shards, shards, str(tmp_path))
    logger.manager._clear_cache()
    glances = [record.progress for record in told if record.levelno == logging.DEBUG]
    assert [one.step for one in glances] == [0, 2, 3, 4, 5, 6, 7]
    assert glances[0].videos_per_second is None
    assert all(one.videos_per_second > 0 and one.seconds_left > 0 for one in glances[1:])


def test_a_run_leaves_snapshots_logs_and_two_states(shards, tmp_path):
    train(SPEC, CONFIG, shards, shards, str(tmp_path))
    assert [snapshot.step for snapshot in list_snapshots(str(tmp_path / "snapshots"))] == [8, 16, 24]
    assert {path.name for path in (tmp_path / "state").glob("*.index")} == {
        "state-00000020.index",
        "state-00000024.index",
    }
    tags = {
        value.tag
        for path in (tmp_path / "logs").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert tags == {"loss", "learning_rate", "gradient_norm", "examples_per_second", "gap"}


def test_a_run_says_how_far_it_is(shards, tmp_path, caplog):
    caplog.set_level("INFO", logger="yt8m.train")
    train(SPEC, CONFIG, shards, shards, str(tmp_path))
    said = [record.progress for record in caplog.records if hasattr(record, "progress")]
    assert [(one.step, one.gap is not None, one.videos_per_second is not None) for one in said] == [
        (8, True, False), (10, True, True), (16, True, False), (20, True, True), (24, True, True), (24, True, False),
    ]  # fmt: skip
    assert {(one.variant, one.steps, one.logs) for one in said} == {("K2-H6", 24, str(tmp_path / "logs"))}
    assert said[-2].seconds_left == 0
    assert said[1].seconds_left > 0


def test_the_owner_of_the_process_is_told_once_when_the_memory_is_there(shards, tmp_path):
    told = []
    train(SPEC, CONFIG, shards, shards, str(tmp_path), on_allocated=lambda: told.append("allocated"))
    assert told == ["allocated"]


def test_huge_pages_are_for_large_models(monkeypatch):
    monkeypatch.setattr(huge_pages, "use_huge_pages", lambda: 7)
    assert huge_pages.use_huge_pages_for(ModelSpec.parse("K2-H8", 12)) == 0
    assert huge_pages.use_huge_pages_for(ModelSpec.parse("K16-H512")) == 7


def test_a_snapshot_holds_exactly_the_32_tensors(tmp_path):
    step = TrainingStep(SPEC, CONFIG)
    snapshot = write_snapshot(str(tmp_path), 3, step.variables)
    assert list_snapshots(str(tmp_path)) == [snapshot]
    restored = read_snapshot(snapshot.prefix)
    assert len(restored) == 32
    assert all(np.array_equal(restored[name], value) for name, value in step.weights().items())


def test_the_state_of_another_run_is_refused(shards, tmp_path):
    train(SPEC, CONFIG, shards, shards, str(tmp_path))
    other = CONFIG.model_copy(update={"learning_rate": 0.02})
    with pytest.raises(UserError, match="state of a run with other settings"):
        train(SPEC, other, shards, shards, str(tmp_path))


def test_bfloat16_trains_close_to_float32(shards):
    batch = next(iter(_batches(shards)))
    losses = []
    for precision in ("float32", "bfloat16"):
        step = TrainingStep(SPEC, CONFIG.model_copy(update={"precision": precision}))
        losses.append([float(step.run(batch, count).loss) for count in range(5)])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[0] != losses[1]


def test_mixup_sees_every_drawn_frame_and_trains(shards):
    batch = next(iter(_batches(shards, frames_per_video=5)))
    config = CONFIG.model_copy(update={"mixup": 0.4, "frames_per_video": 5})
    step = TrainingStep(SPEC, config)
    losses = [float(step.run(batch, count).loss) for count in range(40)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(shards, tmp_path):
    config = CONFIG.model_copy(update={"steps": 60, "eval_slice": 0})
    expected = train(SPEC, config, shards, shards, str(tmp_path / "whole")).weights()
    script = textwrap.dedent(f"""
        import sys
        from trainer.training.config import TrainingConfig
        from trainer.model.model_spec import ModelSpec
        from trainer.training.loop import train
        config = TrainingConfig.model_validate_json({config.model_dump_json()!r})
        files = {shards!r}
        train(ModelSpec.parse("K2-H6", {CLASSES}), config, files, files, sys.argv[1])
        """)
    directory = tmp_path / "killed"
    kills = 0
    for _ in range(2):
        seen = _states(directory)
        with subprocess.Popen(
            [sys.executable, "-c", script, str(directory)], stderr=subprocess.PIPE
        ) as process:
            # Killed as soon as it has written a state further on.
            while process.poll() is None and not _states(directory) - seen:
                time.sleep(0.002)
            process.kill()
            _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()
        kills += process.returncode != 0
    assert kills >= 1
    train(SPEC, config, shards, shards, str(directory))
    last = list_snapshots(str(directory / "snapshots"))[-1]
    assert last.step == 60
    restored = read_snapshot(last.prefix)
    assert all(np.array_equal(restored[name], expected[name]) for name in expected)


def test_with_two_input_processes_a_run_that_was_stopped_goes_on_bit_for_bit(shards, tmp_path):
    config = CONFIG.model_copy(update={"input_processes": 2, "eval_slice": 0})
    whole = train(SPEC, config, shards, shards, str(tmp_path / "whole")).weights()
    train(SPEC, config, shards, shards, str(tmp_path / "cut"), until=7)
    again = train(SPEC, config, shards, shards, str(tmp_path / "cut")).weights()
    assert all(np.array_equal(again[name], value) for name, value in whole.items())
    one = train(SPEC, CONFIG, shards, shards, str(tmp_path / "one")).weights()
    assert any(not np.array_equal(one[name], value) for name, value in whole.items()), "another order"


@pytest.mark.slow
def test_two_replicas_stay_equal_and_see_the_whole_batch(shards, tmp_path):
    """On two logical CPU devices, of 4 and 3 videos, in a process of its own because devices are fixed at start."""
    config = CONFIG.model_copy(update={"steps": 12, "learning_rate": 0.005, "batch_size": 7})
    script = textwrap.dedent(f"""
        import numpy as np, tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from trainer.training.config import TrainingConfig
        from trainer.model.model_spec import ModelSpec
        from trainer.training.loop import train
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        assert strategy.num_replicas_in_sync == 2
        config = TrainingConfig.model_validate_json({config.model_dump_json()!r})
        files = {shards!r}
        spec = ModelSpec.parse("K4-H6", {CLASSES})
        step = train(spec, config, files, files, {str(tmp_path)!r}, strategy=strategy)
        for name, variable in step.variables.items():
            first, second = (value.numpy() for value in strategy.experimental_local_results(variable))
            np.testing.assert_array_equal(first, second, err_msg=name)
        """)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    single = TrainingStep(ModelSpec.parse("K4-H6", CLASSES), config)
    end = read_snapshot(list_snapshots(str(tmp_path / "snapshots"))[-1].prefix)
    assert all(np.all(np.isfinite(value)) for value in end.values())
    moved = [name for name, value in single.weights().items() if not np.array_equal(end[name], value)]
    assert len(moved) == 32


def _batches(files, frames_per_video: int = 2) -> Iterator[Batch]:
    return train_batches(
        files,
        batch_size=8,
        frames_per_video=frames_per_video,
        seed=0,
        shuffle_buffer=32,
        files_per_group=2,
        num_classes=CLASSES,
    )


def _states(directory) -> set[str]:
    return {path.name for path in (directory / "state").glob("*.index")}
