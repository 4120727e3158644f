"""Batches that get another size as training goes on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.records import write_shards
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.loop import train
from trainer.training.optimizer import learning_rate
from trainer.training.step import TrainingStep

SPEC = ModelSpec.parse("K2-H6", 12)
CONFIG = TrainingConfig(
    steps=12,
    batch_size=4,
    batch_schedule=[{"step": 3, "batch_size": 8}, {"step": 9, "batch_size": 6}],
    frames_per_video=2,
    snapshot_every=12,
    state_every=5,
    eval_slice=0,
    shuffle_buffer=16,
    files_per_group=2,
)
SIZES = [4] * 3 + [8] * 6 + [6] * 3


@given(st.sets(st.integers(1, 40)), st.data(), st.integers(1, 60))
def test_videos_are_the_sum_of_the_batches(begins, data, steps):
    stages = [{"step": step, "batch_size": data.draw(st.integers(2, 9))} for step in sorted(begins)]
    config = TrainingConfig(steps=50, batch_size=5, batch_schedule=stages)
    sizes = [config.batch_size_at(step) for step in range(steps)]
    assert config.videos(steps) == sum(sizes)
    assert max(sizes) <= config.largest_batch


def test_the_learning_rate_falls_with_the_videos_that_were_seen():
    config = CONFIG.model_copy(
        update={"learning_rate": 1.0, "learning_rate_decay": 0.5, "learning_rate_decay_examples": 12}
    )
    rates = [float(learning_rate(config, step)) for step in range(12)]
    assert rates == [0.5 ** (sum(SIZES[:step]) // 12) for step in range(12)]


def test_stages_are_in_order_and_before_the_end():
    stage = {"step": 3, "batch_size": 8}
    for stages, problem in (
        ([stage, stage], r"batch_schedule has the steps \[3, 3\]; each must be later"),
        ([{**stage, "step": 12}], "batch_schedule has step 12, and the 12 steps end before it"),
        ([{**stage, "batch_size": 1}], "greater than or equal to 2"),
        ([{**stage, "videos": 1}], "videos"),
    ):
        with pytest.raises(ValidationError, match=problem):
            TrainingConfig(steps=12, batch_schedule=stages)
    assert CONFIG.warm().batch_schedule == CONFIG.batch_schedule[:1]


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_goes_on_ends_with_the_same_weights(tmp_path, monkeypatch, processes):
    config = CONFIG.model_copy(update={"input_processes": processes})
    shards = write_shards(tmp_path, shards=4, videos=20, num_classes=12)
    seen = []
    run = TrainingStep.run

    def watched(self, batch, step):
        seen.append((step, len(batch["labels"]), batch["position"].tolist()))
        return run(self, batch, step)

    monkeypatch.setattr(TrainingStep, "run", watched)
    whole = train(SPEC, config, shards, shards, str(tmp_path / "whole")).weights()
    batches = list(seen)
    assert [(step, size) for step, size, _ in batches] == list(enumerate(SIZES))
    if processes == 1:
        epoch = [tuple(place) for _, _, places in batches for place in places]
        assert len(set(epoch)) == sum(SIZES)  # none twice, none left out
    seen.clear()
    for until in (2, 5, 9, None):  # before, within and at a change
        parts = train(SPEC, config, shards, shards, str(tmp_path / "parts"), until=until).weights()
    assert seen == batches
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name])
