"""A verb whose output finds no room names the option that chose the disk, and leaves what was there before."""

import json
import os
from pathlib import Path

import pytest

from tests.pipeline.verbs import run
from trainer.base.errors import UserError
from trainer.base.full_disk import chosen_by
from trainer.base.whole import whole_directory


@pytest.fixture
def full_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on a disk without a free byte, which is the current one."""
    (small_disk / "mine.html").write_text("<!doctype html>older")
    (small_disk / "mine.json").write_text('{\n "older": 1}')
    _fill(small_disk)
    monkeypatch.chdir(small_disk)
    return small_disk


def _fill(disk: Path) -> None:
    with open(disk / "fill", "wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail:
            file.write(bytes(4096))


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("recipes", "new", "mine", "--from", "demo"), "directory"),
        (("report", "REPORT", "--out", "mine.html"), "--out"),
    ],
)
def test_the_option_is_named_and_nothing_is_left(
    arguments: tuple[str, ...], option: str, full_disk: Path
) -> None:
    report = Path(__file__).parents[2] / "components" / "run_report_0_1_0.json"
    before = _files(full_disk)
    with pytest.raises(UserError) as raised:
        run(*(str(report) if one == "REPORT" else one for one in arguments))
    assert str(raised.value) == (
        f"no space left on a disk: make room on the full disk of {option} ({full_disk}, 0 of 2 MiB free now), or "
        f"choose another {option}; then give the same command again"
    )
    assert _files(full_disk) == before
    (full_disk / "fill").unlink()
    run(*(str(report) if one == "REPORT" else one for one in arguments))


@pytest.mark.parametrize("words", [("label", ".", "stable=2"), ("rollback", ".", "--to", "1")])
def test_a_directory_of_models_stays_as_it_was(words: tuple[str, ...], small_disk: Path, monkeypatch) -> None:
    monkeypatch.chdir(small_disk)
    for version, graph in (("1", b"a"), ("2", b"b")):
        Path(version).mkdir()
        Path(version, "saved_model.pb").write_bytes(graph)
    run("models", "label", ".", "canary=1")
    _fill(small_disk)
    before = sorted(os.walk("."))
    with pytest.raises(UserError, match=r"full disk of BASE \(.*small-disk, 0 of 2 MiB free now\)"):
        run("models", *words)
    assert sorted(os.walk(".")) == before
    assert json.loads(run("models", "label", ".", "--json")) == {"labels": {"canary": 1}}


def test_a_sample_names_its_directory(full_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.sample._check_room", lambda *arguments: None)  # taken meanwhile
    monkeypatch.setattr("trainer.data.sample.write_problem", lambda directory: None)
    before = _files(full_disk)
    with pytest.raises(UserError, match=r"full disk of DIR \(.*, or choose another DIR"):
        run("data", "sample", ".", "--train-videos", "8", "--validate-videos", "8")
    assert _files(full_disk) == before


def test_what_tensorflow_writes_by_a_relative_path_is_found(full_disk: Path) -> None:
    text = "{{function_node __wrapped__SaveV2_device_/job:localhost/task:0}} small/x.data; No space left on device [Op]"
    with (
        pytest.raises(UserError, match=r"the full disk of --out \(.*small-disk, 0 of"),
        chosen_by("--out", "small"),
    ):
        raise RuntimeError(text)


def test_a_model_larger_than_the_room_is_refused_before_it_is_made(full_disk: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"--out model: at least [\d.]+ MiB are written there, and 0\.0 MiB are free: make room, or",
    ):
        run("import-checkpoint", "nothing", "--variant", "K8-H64", "--out", "model")


def _cut_short(directory: str) -> None:
    os.mkdir(directory)
    raise OSError("cut short")


def test_a_directory_that_is_not_whole_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cut short"), whole_directory(str(tmp_path / "model")) as unfinished:
        _cut_short(unfinished)
    assert os.listdir(tmp_path) == []


def _overtaken(unfinished: str, model: Path) -> None:
    os.mkdir(unfinished)
    model.mkdir()
    (model / "theirs").touch()


def test_a_directory_that_another_process_has_made_meanwhile_stays(tmp_path: Path) -> None:
    model = tmp_path / "model"
    said = f"^{model} is there already, made by another process: give another"
    with pytest.raises(UserError, match=said), whole_directory(str(model)) as unfinished:
        _overtaken(unfinished, model)
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(model) == ["theirs"]
