"""Trainings that start from the weights of a model."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from components.fp16_compressor.compressor import compress_model
from components.trainer.run_fn import run_fn
from components.trainer.warm_start import find_start
from serving.export.saved_model import Member, read_weights, write_saved_model
from serving.store.model_store import publish
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from tests.records import write_shards
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import list_snapshots
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights, shrunk
from trainer.training.config import TrainingConfig
from trainer.training.loop import run_fingerprint, train

SPEC, OTHER = ModelSpec.parse("K3-H4", CLASSES), ModelSpec.parse("K2-H3", CLASSES)
CONFIG = TrainingConfig(
    steps=10, batch_size=8, frames_per_video=2, learning_rate=1e-9, snapshot_every=2, state_every=5, log_every=20,
    eval_slice=0, shuffle_buffer=32, files_per_group=2, start="previous",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's artifacts, and what it has pushed: K3-H4, number 2 of three averages, in float16."""
    place = tmp_path_factory.mktemp("run")
    files = eval_shards(place)
    for number in (1, 2, 10):
        member = Member(
            spec=SPEC, weights=weights_of("K3-H4", number), gap=0.5, first_step=1, last_step=2, snapshots=2
        )
        write_saved_model(str(averaged(place, number)), [member])
    compress_model(str(averaged(place, 2)), files, str(place / "stored"), tolerance=1.0)
    publish(str(place / "stored"), str(place / "served"))
    return place


def averaged(place: Path, number: int) -> Path:
    return place / f"artifacts/CheckpointAverager-K3-H4/model/{number}/Format-Serving"


def test_the_float32_weights_of_the_run_that_made_the_served_member_are_taken(place: Path) -> None:
    start = find_start(SPEC, str(place / "served"), str(place / "artifacts/Trainer-K3-H4/model_run/12"))
    assert start.place == str(averaged(place, 2))
    for name, value in weights_of("K3-H4", 2).items():
        np.testing.assert_array_equal(start.weights[name], value)


def test_elsewhere_the_stored_weights_are_decoded(place: Path, tmp_path: Path) -> None:
    for model in (place / "served", place / "stored"):
        start = find_start(SPEC, str(model), str(tmp_path / "Trainer-K3-H4/model_run/12"))
        assert start.place.startswith(str(model))
        for name, value in read_weights(str(place / "stored")).items():
            np.testing.assert_array_equal(start.weights[name], value)
            np.testing.assert_allclose(
                start.weights[name], weights_of("K3-H4", 2)[name], rtol=1e-3, atol=1e-6
            )


def test_a_damaged_average_is_passed_over(place: Path, tmp_path: Path, caplog) -> None:
    copy = averaged(tmp_path, 3)
    write_saved_model(str(copy), [Member(spec=SPEC, weights=weights_of("K3-H4", 2))])
    (data,) = copy.glob("variables/*.data*")
    os.truncate(data, 100)
    start = find_start(SPEC, str(place / "served"), str(tmp_path / "artifacts/Trainer-K3-H4/model_run/12"))
    assert start.place == str(place / "served/1")
    assert f"{copy} is passed over: " in caplog.text


def test_no_model_and_another_variant_are_no_start_and_a_foreign_model_is_the_users_error(
    place: Path, tmp_path: Path
) -> None:
    run = str(tmp_path / "Trainer/model_run/1")
    assert find_start(SPEC, str(tmp_path / "nothing"), run) is None
    assert find_start(OTHER, str(place / "served"), run) is None
    assert find_start(ModelSpec.parse("K3-H4", CLASSES + 1), str(place / "served"), run) is None
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/saved_model.pb").touch()
    with pytest.raises(UserError, match="is not a model of this project"):
        find_start(SPEC, str(tmp_path / "foreign"), run)


def test_a_training_goes_on_from_them_with_fewer_steps(place: Path, tmp_path: Path, caplog) -> None:
    """At a learning rate of next to nothing the trained weights are those that it started from."""
    caplog.set_level(logging.INFO, "yt8m.train")
    shards = write_shards(tmp_path, shards=2, videos=12, num_classes=CLASSES)

    def trained(spec: ModelSpec, name: str, **training) -> tuple[list[int], dict[str, np.ndarray]]:
        run = place / "artifacts" / f"Trainer-{spec}" / "model_run" / name
        config = {
            "variant": spec.name, "num_classes": CLASSES, "start_from": str(place / "served"),
            "training": CONFIG.model_dump() | training, "work_dir": str(tmp_path / "work"),
        }  # fmt: skip
        run_fn(SimpleNamespace(
            train_files=shards, eval_files=shards, serving_model_dir=str(tmp_path / name), model_run_dir=str(run),
            custom_config=config,
        ))  # fmt: skip
        steps = [snapshot.step for snapshot in list_snapshots(str(run / "snapshots"))]
        return steps, read_weights(str(tmp_path / name))

    steps, weights = trained(SPEC, "20")
    assert steps == [2, 4]
    assert f"K3-H4: 4 steps from the weights of {averaged(place, 2)}" in caplog.text
    before = weights_of("K3-H4", 2)
    kernels = [tensor.name for tensor in SPEC.tensors if tensor.trainable]
    assert kernels
    for name in kernels:
        np.testing.assert_allclose(weights[name], before[name], rtol=0, atol=1e-6)
    assert trained(SPEC, "21", warm_steps=3)[0] == [2, 3]
    steps, _ = trained(OTHER, "22")
    assert steps == [2, 4, 6, 8, 10]
    assert "K2-H3: no member of" in caplog.text


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_weights_are_shrunk_towards_random_ones_and_statistics_are_not(tmp_path: Path, share: float) -> None:
    """At a learning rate of next to nothing the trained weights are those that it started from."""
    shards = write_shards(tmp_path, shards=1, videos=12, num_classes=CLASSES)
    config = CONFIG.model_copy(update={"warm_shrink": share, "seed": 5, "batch_norm_decay": 0.999999})
    start, random = weights_of("K3-H4", 1), initial_weights(SPEC, 5)
    start = {name: value + 1 for name, value in start.items()}
    trained = train(SPEC, config, shards, shards, str(tmp_path / "run"), start=start, until=1).weights()
    for tensor in SPEC.tensors:
        if tensor.trainable:
            expected = share * start[tensor.name] + (1 - share) * random[tensor.name]
            np.testing.assert_allclose(trained[tensor.name], expected, rtol=0, atol=1e-5)
    kept = [
        shrunk(SPEC, start, share, 5)[one.name] is start[one.name]
        for one in SPEC.tensors
        if not one.trainable
    ]
    assert kept
    assert all(kept)


def test_a_killed_run_goes_on_from_its_state_and_not_from_the_start_again(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, shards=2, videos=12, num_classes=CLASSES)
    config = CONFIG.model_copy(update={"learning_rate": 0.01})
    first, second = weights_of("K3-H4", 1), weights_of("K3-H4", 2)
    whole = train(SPEC, config, shards, shards, str(tmp_path / "whole"), start=first).weights()
    train(SPEC, config, shards, shards, str(tmp_path / "cut"), start=first, until=5)
    again = train(SPEC, config, shards, shards, str(tmp_path / "cut"), start=second).weights()
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)


def test_where_training_starts_makes_another_run_of_it_and_what_is_not_said_does_not(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, shards=1, videos=2, num_classes=CLASSES)
    scratch = CONFIG.model_copy(update={"start": "scratch"})

    def fingerprint(config: TrainingConfig, **update) -> str:
        return run_fingerprint(SPEC, config.model_copy(update=update), shards)

    assert fingerprint(CONFIG) != fingerprint(scratch)
    assert fingerprint(CONFIG, warm_steps=7) == fingerprint(CONFIG)
    assert fingerprint(scratch, keep_snapshots=True) == fingerprint(scratch)
