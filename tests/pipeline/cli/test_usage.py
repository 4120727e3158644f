"""What is said of a command line that the library cannot take apart."""

from pathlib import Path

import pytest

from pipeline.cli.main import main


def _line(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", ["yt8m", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("yt8m: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "run --recipie demo",
            "No such option: --recipie (Possible options: --recipe) (see yt8m run --help)",
        ),
        ("serve --model m", "No such option: --model; give it as an argument, yt8m serve [BASE_DIR] (see"),
        ("predict --data f", "No such option: --data; give it as an argument, yt8m predict FILES... (see"),
        (
            "data check --data f",
            "No such option: --data; give it as an argument, yt8m data check GLOB... (see",
        ),
        ("compress --model m", "No such option: --model; give it as an argument, yt8m compress MODEL (see"),
        ("distill --student K8-H64", "No such option: --student (Possible options: --variant, --out) (see"),
        ("data sample s --videos 9", "--videos (Possible options: --train-videos, --validate-videos) (see"),
        ("evaluate --output x", "No such option: --output (see yt8m evaluate --help)"),
        ("run --recipe", "Option '--recipe' requires an argument. (see yt8m run --help)"),
        ("data check --jobs", "Option '--jobs' requires an argument. (see yt8m data check --help)"),
        (
            "data check x --max-reject-share 1%",
            "--max-reject-share: must be a number. Received: '1%'; the default is 0.01 (see yt8m data check --help)",
        ),
        (
            "data check x --jobs -1",
            "--jobs: input should be greater than or equal to 0. Received: '-1'; the default",
        ),
        (
            "export m --out x --weights int5",
            "Invalid value for '--weights': 'int5' is not one of 'float32', 'float16'",
        ),
        (
            "run --recipe demo --set training.steps 20",
            "--set takes KEY=VALUE as one word: --set training.steps=20",
        ),
        ("run \u2013recipe demo", "\u2013recipe begins with a long dash: write --recipe"),
        ("\u2014v run --recipe demo", "\u2014v begins with a long dash: write -v"),
        (
            "schedule x.yaml --host http://x --cron 0 3 * * 1",
            "--cron takes its five fields as one word, in quotes",
        ),
    ],
)
def test_a_word_that_is_not_taken_is_said_where_it_belongs(
    arguments: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in _line(arguments.split(), capsys, monkeypatch)


def test_a_shell_that_puts_in_files_is_told_of_quotes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("0", "a.tfrecord", "b.tfrecord"):
        (tmp_path / name).touch()
    line = _line(["run", "--recipe", "demo", "--data", "0", "a.tfrecord", "b.tfrecord"], capsys, monkeypatch)
    assert line.startswith(
        "a.tfrecord (2 in all) stands behind no option: a pattern of files is given in quotes"
    )
    line = _line(
        ["schedule", "p.yaml", "--cron", "0", "3", "a.tfrecord", "b.tfrecord", "1"], capsys, monkeypatch
    )
    assert line.startswith("--cron takes its five fields as one word")
