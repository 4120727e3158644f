"""What a run needs of the disks, told and asked for before it begins."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.local import disk_space
from pipeline.local.disk_space import check_room, examples_bytes, run_needs, training_bytes
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from tests.pipeline.tiny_recipe import tiny_recipe
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec


def test_what_a_run_writes_is_counted_by_the_recipe(recipe, tmp_path, tiny_sample):
    made = recipe()
    variants = [ModelSpec.parse("K2-H4"), ModelSpec.parse("K2-H6")]
    # 6 steps with a snapshot every second and a state every fourth: three snapshots, two states of three copies.
    assert training_bytes(made, "K2-H4") == 9 * variants[0].float32_bytes
    files = sorted(map(str, tiny_sample.iterdir()))
    size = sum(os.path.getsize(path) for path in files)
    assert examples_bytes(files) == 0, "frame-level files stay where they are"
    assert 0.5 * size < examples_bytes(files, copy=True) <= size
    assert examples_bytes(["gs://bucket/a"]) == 0
    root = tmp_path / "run"

    def needed(**options) -> dict[str, tuple[int, int]]:
        sums: dict[str, tuple[int, int]] = {}
        for need in run_needs(recipe(**options), str(root), files):
            size, stays = sums.get(need.place, (0, 0))
            sums[need.place] = size + need.size, stays + need.stays
        return sums

    smallest = stored_bytes(variants[0], FLOAT16)
    models = [2 * one.float32_bytes + stored_bytes(one, FLOAT16) for one in variants]
    examples = examples_bytes(files)
    # Most is there when the second variant has trained: the snapshots and states of the first are gone by then.
    most = examples + models[0] + 9 * variants[1].float32_bytes
    assert needed() == {
        "--root": (most, examples + sum(models) + smallest),
        "push.directory": (smallest, smallest),
        "TMPDIR": (2 * variants[1].float32_bytes, 0),
    }
    kept = {**tiny_recipe(Path("x"), "y")["training"], "keep_snapshots": True}
    all_of_it = examples + sum(models) + smallest + 9 * sum(one.float32_bytes for one in variants)
    assert needed(training=kept)["--root"] == (all_of_it, all_of_it)
    # The second half alone is averaged, and the last snapshot evaluated by itself.
    ranges = {"automatic": False, "single_every": 9, "fractions": [[0.5, 1.0]]}
    assert needed(averaging=ranges)["--root"][0] == most - variants[1].float32_bytes
    assert needed(averaging=ranges)["TMPDIR"][0] == variants[1].float32_bytes
    # With the stop rule both have trained before the first of them is averaged.
    assert needed(halving={"enabled": True})["--root"][0] == most + 9 * variants[0].float32_bytes
    # What is there already, from the cache or of a run that was killed, is not written again.
    for place in ("artifacts/Trainer-K2-H4/model_run/5", "work/Trainer-K2-H6/abc"):
        (root / place).mkdir(parents=True)
    with open(root / "artifacts/Trainer-K2-H4/model_run/5/snapshot", "wb") as file:
        file.truncate(10**9)
    with open(root / "work/Trainer-K2-H6/abc/state", "wb") as file:
        file.truncate(1000)
    assert needed()["--root"][0] == most - variants[0].float32_bytes - 1000
    assert needed(halving={"enabled": True})["--root"][0] == most - variants[0].float32_bytes - 1000
    # Nor is what has been averaged trained once more, unless the data is new: the line at the start is without a cache.
    (root / "artifacts/Trainer-K2-H6/model_run/6/snapshots").mkdir(parents=True)
    (root / "artifacts/Trainer-K2-H6/model_run/6/snapshots/removed").touch()
    assert (
        sum(need.stays for need in run_needs(made, str(root), files) if need.what.startswith("the snap")) == 0
    )
    assert (
        sum(need.size for need in run_needs(made, str(root), files, anew=True) if need.place == "--root")
        == most
    )


def test_no_room_is_told_with_directories_need_and_what_there_is(recipe, tmp_path, tiny_sample, monkeypatch):
    needs = run_needs(recipe(), str(tmp_path / "run"), sorted(map(str, tiny_sample.iterdir())))
    total = sum(need.size for need in needs)
    free = SimpleNamespace(free=total)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda path: free)
    monkeypatch.setattr(disk_space, "nearest_existing", lambda path: tmp_path)  # all on one disk
    check_room(needs)
    free.free -= 1
    with pytest.raises(UserError) as raised:
        check_room(needs)
    for part in (
        "run (--root)",
        "served (push.directory)",
        "(TMPDIR)",
        "it writes at least ",
        " are free. Make room",
    ):
        assert part in str(raised.value)


@pytest.mark.parametrize("disk", ["run", "served"])
def test_each_disk_is_held_against_its_own_need(recipe, tmp_path, monkeypatch, disk):
    """Two disks: the full one is named, and the other is not."""
    needs = [need for need in run_needs(recipe(), str(tmp_path / "run"), []) if need.place != "TMPDIR"]
    devices = {"run": 1, "served": 2}
    monkeypatch.setattr(
        disk_space,
        "nearest_existing",
        lambda path: SimpleNamespace(
            name=Path(path).name, stat=lambda: SimpleNamespace(st_dev=devices[Path(path).name])
        ),
    )
    monkeypatch.setattr(
        disk_space.shutil,
        "disk_usage",
        lambda path: SimpleNamespace(free=0 if path.name == disk else 10**12),
    )
    with pytest.raises(UserError, match=rf"on the disk of {tmp_path}/{disk} \((--root|push.directory)\): "):
        check_room(needs)
