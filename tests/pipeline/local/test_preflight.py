"""What is refused before a run begins: in a moment, in one line, and with nothing left behind."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.local.preflight import check_before_run
from pipeline.recipe.loader import load_recipe
from tests.pipeline.metadata_stores import open_store
from tests.pipeline.refusal import refusal
from tests.pipeline.tiny_recipe import tiny_recipe
from trainer.base.directories import write_problem
from trainer.base.errors import UserError
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.tfrecord import write_tfrecords


def test_a_run_that_can_be_done_is_not_refused_and_nothing_is_made(recipe, tmp_path):
    check_before_run(recipe(), str(tmp_path / "runs/tiny"))
    assert list(tmp_path.iterdir()) == []


def test_directories_that_cannot_be_written_to_are_named_with_their_option(recipe, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert refusal(recipe("/proc/x"), tmp_path / "run").startswith(
        "push.directory: /proc/x cannot be written to (No such file or directory); give another directory"
    )
    assert refusal(recipe(file), tmp_path / "run") == (
        f"push.directory: {file} is a file and no directory; give another directory"
    )
    for root in (file, file / "below"):
        assert refusal(recipe(), root) == f"--root: {file} is a file and no directory; give another directory"
    assert sorted(tmp_path.iterdir()) == [file]


def test_a_directory_above_that_of_the_versions_is_refused(recipe, tmp_path):
    base = tmp_path / "models/demo/yt8m"
    (base / "1").mkdir(parents=True)
    (base / "1/saved_model.pb").touch()
    assert refusal(recipe(base.parent), tmp_path / "run").startswith(
        f"push.directory: {base.parent} has no versions; versions are in {base}: give that, or"
    )


def test_a_directory_of_another_kind_is_refused(recipe, tmp_path):
    root = tmp_path / "run"
    for inside in (root, root / "artifacts/x"):
        assert refusal(recipe(inside), root).startswith(
            f"push.directory: {inside} is a part of the run's own directory"
        )
    for name in ("train0000.tfrecord", "metadata.sqlite", "saved_model.pb", "1/saved_model.pb"):
        directory = tmp_path / name.replace("/", "-")
        (directory / name).parent.mkdir(parents=True)
        (directory / name).touch()
        if "/" not in name:
            assert refusal(recipe(directory), root).startswith(
                f"push.directory: {directory} holds {name}, so it is"
            )
        if name != "metadata.sqlite":
            assert refusal(recipe(), directory).startswith(
                f"--root: {directory} holds {name}, so it is there for"
            )


def test_what_is_divided_among_too_few_train_files_is_refused(recipe, tmp_path):
    training = {**tiny_recipe(Path("x"), "y")["training"], "input_processes": 64}
    assert refusal(recipe(training=training), tmp_path / "run").startswith(
        "training.input_processes: 64 need as many train files, and there are "
    )
    folds = {"teacher": {"folds": 20}, "students": ["K2-H4"]}
    assert refusal(recipe(**folds), tmp_path / "run").startswith("teacher.folds: 20 need as many train files")


def test_files_without_labels_are_refused(recipe, tmp_path, tiny_sample):
    for name in ("train0000", "validate0000", "validate0001", "validate0002"):
        rgb, audio = (encode_frames(np.zeros((1, size), np.uint8)) for size in (1024, 128))
        unlabelled = sequence_example(name.encode(), (), rgb, audio)
        write_tfrecords(str(tmp_path / f"{name}.tfrecord"), [unlabelled])
    data = tiny_recipe(tmp_path, "x")["data"]
    assert refusal(recipe(data=data), tmp_path / "run").startswith("the first videos of all ")
    shutil.copy(tiny_sample / "train0000.tfrecord", tmp_path)
    check_before_run(recipe(data=data), str(tmp_path / "run"))


def test_a_damaged_database_is_named_before_the_run(recipe, tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    (root / "metadata.sqlite").write_text("nonsense" * 1000)
    assert refusal(recipe(), root).startswith(f"{root}/metadata.sqlite is damaged, or no database of runs")


def test_a_database_that_was_cut_is_named_before_the_run(recipe, tmp_path):
    open_store(tmp_path)
    database = tmp_path / "metadata.sqlite"
    check_before_run(recipe(), str(tmp_path))
    os.truncate(database, database.stat().st_size // 2)
    assert refusal(recipe(), tmp_path).startswith(f"{database} is damaged, or no database of runs")


def test_of_two_runs_that_begin_together_one_holds_the_lock_before_tfx_is_there(
    recipe, tmp_path, monkeypatch
):
    """And the refused one neither names nor writes the report of the other one."""
    from pipeline.cli.training.run import run_recipe

    monkeypatch.setattr("pipeline.local.preflight.check_before_run", lambda *_: None)
    monkeypatch.setitem(sys.modules, "pipeline.local.runner", None)  # whose import takes half a minute
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run is using this directory"):
            run_recipe(recipe(), str(tmp_path))
    assert [*tmp_path.iterdir()] == [tmp_path / "lock"]


def test_the_scratch_directory_is_asked_for_too(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/nothing")
    assert refusal(recipe(), tmp_path / "run").startswith("TMPDIR: /proc/nothing cannot be written to")
    # Python itself takes /tmp in place of a directory that is not there.
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")
    assert refusal(recipe(), tmp_path / "run") == (
        "TMPDIR: there is no directory /nowhere/at/all; make it, or name another one"
    )


def test_trying_to_write_leaves_what_was_there(tmp_path):
    (tmp_path / "a").mkdir()
    assert write_problem(str(tmp_path / "a/b/c")) is None
    assert [*tmp_path.rglob("*")] == [tmp_path / "a"]


def test_a_root_in_use_is_refused_before_tfx_starts(recipe, tmp_path):
    with open(tmp_path / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(recipe(), tmp_path).startswith(f"{tmp_path}: another run is using this directory")


@pytest.mark.parametrize(
    ("set_", "said"),
    [
        (
            (),
            "data.train (or --train): no file matches data/demo/train*.tfrecord; check the path, which counts from "
            "{here}; yt8m data sample data/demo writes the sample",
        ),
        (
            ("data.train=[]", "data.validate=[{sample}/validate*]", "data.holdout_files=[none*]"),
            "data.holdout_files: no file matches none*; check the path, which counts from {here}",
        ),
        (
            ("students=[K2-H4]", "teacher.directory=nothere"),
            "teacher.directory: nothere does not exist: give a directory with saved_model.pb, or with versions of one",
        ),
        (
            ("training.start=nothere",),
            "training.start: nothere does not exist: give a directory with saved_model.pb, or with versions of one",
        ),
    ],
)
def test_the_key_that_names_what_is_not_there_is_said(tmp_path, monkeypatch, tiny_sample, set_, said):
    monkeypatch.chdir(tmp_path)
    loaded = load_recipe("demo", [one.format(sample=tiny_sample) for one in set_])
    assert refusal(loaded, tmp_path / "run") == said.format(here=tmp_path)


def test_files_that_cannot_be_divided_into_splits_are_refused(recipe, tmp_path, tiny_sample):
    data = tiny_recipe(tiny_sample, "x")["data"]
    below = os.path.relpath(tiny_sample)
    for train in (f"{tiny_sample}/validate*", f"{below}/validate*"):
        text = refusal(recipe(data={**data, "train": [train]}), tmp_path / "run")
        assert text.startswith(f"{tiny_sample}/validate00"), text
        assert text.endswith("matches the train and the validate patterns; make them disjoint")
    other = {**data, "train": ["gs://bucket/train*"], "validate": data["validate"]}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.local.preflight.expand", lambda patterns: [])
        assert refusal(recipe(data=other), tmp_path / "run").startswith(
            "data patterns lie in different places (/, gs://bucket); copy the files into one"
        )
    held = refusal(recipe(data={**data, "train": [], "holdout_files": data["validate"]}), tmp_path / "run")
    assert held.startswith("the holdout's patterns (data.holdout_files) match all")


def test_labels_and_a_vocabulary_of_other_classes_are_refused(recipe, tmp_path, tiny_sample):
    data = tiny_recipe(tiny_sample, "x")["data"]
    few = {**data, "num_classes": 20}
    text = refusal(recipe(data=few), tmp_path / "run")
    assert re.match(
        r"\d+ of the first 80 videos have a label that is none of data.num_classes, 20: .*/train0000.tfrecord, byte "
        r"\d+: label \d+ is not in 0..19; give files of these classes, or else set data.num_classes$",
        text,
    ), text
    check_before_run(recipe(data={**few, "max_reject_share": 1}), str(tmp_path / "run"))
    names = tmp_path / "vocabulary.csv"
    names.write_text("Index,Name\n0,Game\n3862,Vehicle\n", encoding="utf-8")
    assert refusal(recipe(data={**data, "vocabulary": str(names)}), tmp_path / "run").startswith(
        f"data.vocabulary: {names} names class 3862, and data.num_classes is 3862: its names are of other classes"
    )
    names.write_text("Index,Name\n0,Game\n3861,Vehicle\n", encoding="utf-8")
    check_before_run(recipe(data={**data, "vocabulary": str(names)}), str(tmp_path / "run"))


def test_a_batch_larger_than_the_memory_is_refused(recipe, tmp_path):
    training = {
        **tiny_recipe(Path("x"), "y")["training"],
        "batch_size": 1_000_000,
        "frames_per_video": 3_000,
    }
    assert refusal(recipe(training=training), tmp_path / "run").startswith(
        "training.batch_size: one batch of 1,000,000 videos with 3,000 frames takes 3,219 GiB, and this machine has "
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "push.directory=/proc/x"], "push.directory: /proc/x cannot be written to"),
        (["--root", __file__], "test_preflight.py is a file and no directory"),
        (["--set", "training.learning_rate=1e400"], "training.learning_rate: input should be"),
        (
            ["--set", "training.batch_size=100000000"],
            "training.batch_size: input should be less than or equal to",
        ),
    ],
)
def test_a_wrong_run_is_one_line_and_exit_code_2_without_tensorflow(tiny_sample, tmp_path, arguments, part):
    script = (
        "import sys; from pipeline.cli.main import main\n"
        f"sys.argv = ['yt8m', 'run', '--recipe', 'demo', '--data', {str(tiny_sample)!r} + '/*', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as done: code = done.code\n"
        "assert not {'tensorflow', 'tfx'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert part in done.stderr
    assert list(tmp_path.iterdir()) == []
