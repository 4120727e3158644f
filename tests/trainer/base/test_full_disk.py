"""Which disk is full: on a real one, as TensorFlow and Python say it."""

import os
import sqlite3

import numpy as np
import pytest

from serving.store.model_store import publish
from trainer.base.full_disk import full_disk
from trainer.base.whole import whole_file
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import write_snapshot

BIG = {"a": np.zeros(2**20, np.float32)}
"""4 MiB, on a disk of 2."""


def test_tensorflow_s_lack_of_a_resource_is_the_disk_s(small_disk):
    with pytest.raises(Exception, match="No space left on device") as caught:
        write_snapshot(str(small_disk / "run" / "snapshots"), 1, BIG)
    assert type(caught.value).__name__ == "ResourceExhaustedError"
    places = {"--root": str(small_disk / "run"), "push.directory": "gs://x/y"}
    assert full_disk(caught.value, places) == (
        f"make room on the full disk of --root ({small_disk}/run, 2 of 2 MiB free now), or choose another --root; "
        "then give the same command again"
    )
    assert f"of {small_disk}/run/snapshots (2 of 2 MiB free now); then" in full_disk(caught.value)


def test_a_push_to_a_full_disk_names_its_directory(small_disk, tmp_path):
    source = tmp_path / "model"
    (source / "variables").mkdir(parents=True)
    (source / "saved_model.pb").write_bytes(b"graph")
    (source / "variables" / "variables.index").write_bytes(b"index")
    (source / "variables" / "variables.data-00000-of-00001").write_bytes(bytes(2**22))
    with pytest.raises(OSError, match="No space left") as caught:
        publish(str(source), str(small_disk / "served"))
    line = full_disk(caught.value, {"--root": str(tmp_path), "push.directory": str(small_disk / "served")})
    assert line.startswith(f"make room on the full disk of push.directory ({small_disk}/served, ")
    assert os.listdir(small_disk / "served") == []


def test_averages_that_outgrow_their_disk_name_it(small_disk, tmp_path, monkeypatch):
    snapshots = [write_snapshot(str(tmp_path / "snapshots"), step, BIG) for step in (1, 2)]
    monkeypatch.setattr(
        "trainer.checkpoints.averaging._check_room", lambda directory, size: None
    )  # taken by others meanwhile
    with pytest.raises(OSError, match="No space left") as caught:
        average_snapshots(snapshots, [Range(0, 1)], str(small_disk))
    assert f"of {small_disk} (0 of 2 MiB free now)" in full_disk(caught.value)


def test_a_file_that_outgrows_its_disk_names_it_and_leaves_nothing(small_disk):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        whole_file(str(small_disk / "out.csv")) as path,
        open(path, "wb") as file,
    ):
        file.write(bytes(2**22))
    assert f"the full disk of {small_disk} (2 of 2 MiB free now)" in full_disk(caught.value)
    assert os.listdir(small_disk) == []


def test_tensorflow_s_words_hold_more_than_the_path():
    text = "{{function_node __wrapped__SaveV2_device_/job:localhost/task:0}} /no such/x.data; No space left on device"
    assert "the full disk of /no such (" in full_disk(RuntimeError(text))


def test_a_file_that_nobody_names_may_be_in_the_current_directory(small_disk, monkeypatch):
    monkeypatch.chdir(small_disk)
    assert f"probably that of {small_disk} (2 of 2 MiB free now)" in full_disk(
        OSError(28, "No space left on device")
    )


def test_what_is_no_full_disk():
    assert full_disk(ValueError("out of range")) is None
    assert full_disk(MemoryError()) is None
    assert "make room" in full_disk(sqlite3.OperationalError("database or disk is full"))
