import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.data import app
from trainer.errors import UserError
from trainer.records import expand
from trainer.tfrecord import write_tfrecords


def invoke(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.stdout, result.exception


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    output, error = invoke(
        "sample", str(tmp_path / "s"), "--train-videos=5", "--validate-videos=3", "--shards=2", "--json"
    )
    assert error is None
    assert json.loads(output)["files"] == sorted(json.loads(output)["files"])
    return tmp_path / "s"


def test_sample_writes_what_check_accepts(sample: Path) -> None:
    output, error = invoke("check", f"{sample}/train*", f"{sample}/validate*", "--json")
    assert error is None
    found = json.loads(output)
    assert (found["files"], found["videos"]) == (4, 8)
    assert (found["rejected_videos"], found["share"], found["first_rejects"]) == (0, 0.0, [])
    assert 8 * 4 <= found["frames"] <= 8 * 16
    assert found["labels"] >= 8


def test_check_names_the_bad_and_fails_above_the_share(sample: Path) -> None:
    bad = str(sample / "train0009.tfrecord")
    write_tfrecords(bad, [b""] * 5)
    output, error = invoke("check", f"{sample}/train*", f"{sample}/validate*", "--json")
    assert isinstance(error, UserError)
    assert "5 of 13 videos (38.46%)" in str(error)
    found = json.loads(output)
    assert found["rejected"] == {"not_an_example": 5}
    assert [(reject["file"], reject["offset"]) for reject in found["first_rejects"]] == [
        (bad, 0),
        (bad, 16),
        (bad, 32),
    ]
    output, error = invoke("check", f"{sample}/*", "--max-reject-share=0.5")
    assert error is None
    assert "not_an_example: 5" in output
    assert f"{bad} at byte 16" in output


def test_check_in_several_processes_finds_the_same(sample: Path) -> None:
    (sample / "train0008.tfrecord").write_bytes(b"no TFRecord file at all")
    one, several = (
        json.loads(invoke("check", f"{sample}/*", "--json", "--max-reject-share=1", f"--jobs={jobs}")[0])
        for jobs in (1, 2)
    )
    assert one == several
    assert one["rejected"] == {"bad_length": 1}
    assert one["files"] == len(expand([f"{sample}/*"]))
