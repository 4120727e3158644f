"""Which snapshots are written, and what of a run is removed once it has been averaged."""

import json
from pathlib import Path

import pytest

from components.checkpoint_averager.averager import average_checkpoints
from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.ranges import needed_steps
from components.trainer.run_fn import CustomConfig
from tests.records import write_shards
from trainer.base.errors import UserError
from trainer.checkpoints.removal import remove_checkpoints
from trainer.checkpoints.snapshots import list_snapshots
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.loop import train

CLASSES = 12
SPEC = ModelSpec.parse("K2-H6", CLASSES)
CONFIG = TrainingConfig(
    steps=17, batch_size=8, frames_per_video=2, learning_rate=0.01, snapshot_every=2, state_every=4, log_every=20,
    eval_slice=4, shuffle_buffer=32, files_per_group=2,
)  # fmt: skip
AVERAGING = AveragingConfig(single_every=3, automatic=False, fractions=[(0.6, 0.9)], steps=[(15, 17)])


def test_the_last_snapshot_is_that_of_the_last_step():
    assert CONFIG.snapshot_steps() == [2, 4, 6, 8, 10, 12, 14, 16, 17]
    assert CONFIG.snapshot_steps(6) == [2, 4, 6]
    assert CONFIG.snapshot_steps(5) == [2, 4, 5]
    assert CONFIG.model_copy(update={"snapshot_every": 100}).snapshot_steps(3) == [3]


def test_all_snapshots_are_needed_where_the_best_one_decides_which():
    assert needed_steps(AveragingConfig(fractions=[(0.9, 1.0)], single_every=9), [1, 2, 3]) == [1, 2, 3]


def test_what_no_candidate_can_use_is_not_written_and_the_same_model_is_found(tmp_path: Path):
    shards = write_shards(tmp_path, shards=2, videos=12, num_classes=CLASSES)
    needed = needed_steps(AVERAGING, CONFIG.snapshot_steps())
    assert needed == [6, 12, 14, 16, 17]
    reports = []
    for name, steps in (("all", None), ("needed", needed)):
        train(SPEC, CONFIG, shards, shards, str(tmp_path / name), snapshot_steps=steps)
        snapshots = str(tmp_path / name / "snapshots")
        assert [one.step for one in list_snapshots(snapshots)] == (steps or CONFIG.snapshot_steps())
        reports.append(average_checkpoints(snapshots, shards, str(tmp_path / name / "model"), AVERAGING))
    assert reports[0] == reports[1]
    assert len(reports[0].candidates) == 5
    for part in ("snapshots", "state", "never"):
        remove_checkpoints(str(tmp_path / "all" / part))
        remove_checkpoints(str(tmp_path / "all" / part))
    assert {path.name for path in (tmp_path / "all/snapshots").iterdir()} == {"model.json", "removed"}
    assert {path.name for path in (tmp_path / "all/state").iterdir()} == {"removed"}
    with pytest.raises(
        UserError, match=r"removed once they have been averaged.*training.keep_snapshots=true"
    ):
        average_checkpoints(str(tmp_path / "all/snapshots"), shards, str(tmp_path / "model"), AVERAGING)


def test_some_snapshots_do_not_pass_for_all_of_them(tmp_path: Path):
    """A removal that was killed: the averager must not average what is left."""
    for step in (1, 2):
        (tmp_path / f"snapshot-{step:08d}.index").write_bytes(b"")
    assert len(list_snapshots(str(tmp_path))) == 2
    (tmp_path / "removed").write_text("", encoding="utf-8")
    assert list_snapshots(str(tmp_path)) == []


def test_a_killed_training_goes_on_only_if_its_snapshots_are_the_same(tmp_path: Path):
    shards = write_shards(tmp_path, shards=1, videos=2, num_classes=CLASSES)

    def directory(**averaging) -> str:
        text = {"variant": "K2-H6", "training": CONFIG.model_dump(), "work_dir": "work", **averaging}
        return CustomConfig.model_validate_json(json.dumps(text)).directory("run", shards)

    some = AVERAGING.model_dump()
    assert directory(averaging=some) == directory(averaging=some | {"batch_size": 3, "batch_norm_videos": 9})
    assert len({directory(), directory(averaging=some), directory(averaging=some | {"single_every": 1})}) == 3
