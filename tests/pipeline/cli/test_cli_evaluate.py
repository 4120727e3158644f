"""``yt8m evaluate`` on real files and a real SavedModel of ours."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serving.export.saved_model import Member, write_saved_model
from serving.inference.scoring import SavedModelScorer
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.labels import label_rows
from trainer.data.records import read_videos
from trainer.data.tfrecord import write_tfrecords
from trainer.metrics.video_metrics import VideoMetrics
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

pytestmark = pytest.mark.slow

CLASSES = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """versions/3 holds a model; a.tfrecord 30 videos, b.tfrecord 20, a label that is out of range, and what does not
    count: two videos without labels and one of a.tfrecord once more. unlabelled.tfrecord has no labels at all."""
    directory = tmp_path_factory.mktemp("evaluate")
    spec = ModelSpec.parse("K2-H4", CLASSES)
    member = Member(spec=spec, weights=initial_weights(spec, 0))
    write_saved_model(str(directory / "versions" / "3"), [member])
    (directory / "foreign").mkdir()
    (directory / "foreign" / "saved_model.pb").write_bytes(b"graph")
    rng = np.random.default_rng(0)

    def record(video_id: object, labels: list[int]) -> bytes:
        length = int(rng.integers(1, 4))
        rgb, audio = (rng.integers(0, 256, (length, size), np.uint8) for size in (1024, 128))
        return sequence_example(f"v{video_id}".encode(), labels, encode_frames(rgb), encode_frames(audio))

    (directory / "unlabelled").mkdir()
    labels = [sorted({int(c) for c in rng.integers(0, CLASSES, rng.integers(1, 6))}) for _ in range(50)]
    first = [record(number, each) for number, each in enumerate(labels[:30])]
    write_tfrecords(str(directory / "a.tfrecord"), first)
    second = [record(30 + number, each) for number, each in enumerate([*labels[30:], [CLASSES]])]
    without = [record(f"u{number}", []) for number in range(2)]
    write_tfrecords(
        str(directory / "b.tfrecord"), [*second[:7], without[0], first[3], *second[7:], without[1]]
    )
    write_tfrecords(str(directory / "unlabelled" / "c.tfrecord"), without)
    return directory


def evaluate(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "evaluate", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_json_has_the_metrics_of_all_valid_videos(place: Path) -> None:
    result = evaluate(place, "--model", "versions", "--data", "*.tfrecord", "--batch-size", "7", "--json")
    assert result.returncode == 0, result.stderr
    scorer = SavedModelScorer(str(place / "versions" / "3"))
    found = [item for name in "ab" for item in read_videos(str(place / f"{name}.tfrecord"), CLASSES)]
    videos = {item.id: item for item in found if hasattr(item, "sequence_example") and item.labels}
    videos = list(videos.values())
    expected = VideoMetrics(CLASSES)
    expected.update(scorer.scores(videos), label_rows(videos, CLASSES))
    measured = json.loads(result.stdout)
    assert measured == {
        **{
            name: pytest.approx(value, abs=1e-6)
            for name, value in dataclasses.asdict(expected.result()).items()
        },
        "rejected": 1,
        "unlabelled": 2,
        "duplicates": 1,
    }
    assert measured["videos"] == 50
    for part in ("label_out_of_range", "2 videos without labels", "1 records of videos that stood before"):
        assert part in result.stderr


def test_table_is_for_people(place: Path) -> None:
    result = evaluate(place, "--model", "versions/3", "--data", "a.tfrecord")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^GAP@20 +0\.\d{4}$", result.stdout, re.MULTILINE)
    assert re.search(r"^videos +30$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--model", "versions", "--data", "none*.tfrecord"), "none*.tfrecord"),
        (("--model", ".", "--data", "a.tfrecord"), ". has no model: give a directory with saved_model.pb"),
        (("--model", "/nope", "--data", "a.tfrecord"), "/nope does not exist: give a directory"),
        (
            ("--model", "foreign", "--data", "a.tfrecord"),
            "card.json. Give a model that yt8m pushed or imported",
        ),
        (("--model", "versions", "--data", "unlabelled/*"), "2 videos without labels"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(place: Path, arguments: tuple[str, ...], part: str) -> None:
    result = evaluate(place, *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert part in result.stderr


def test_files_of_another_edition_are_refused(place: Path) -> None:
    """Most labels are beyond the model's classes: GAP of the few other videos would say nothing."""
    spec = ModelSpec.parse("K2-H4", 20)
    write_saved_model(str(place / "small" / "1"), [Member(spec=spec, weights=initial_weights(spec, 0))])
    result = evaluate(place, "--model", "small", "--data", "a.tfrecord")
    assert (result.returncode, result.stdout) == (2, "")
    last = result.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"yt8m: \d+ of 30 videos have labels that the model, of 20 classes, does not know: .*", last
    )


def test_a_model_that_is_not_there_is_told_without_tensorflow(place: Path) -> None:
    for verb, more in (("evaluate", []), ("infer", ["--out", "x.csv"])):
        script = (
            "import sys; from pipeline.cli.main import main\n"
            f"sys.argv = ['yt8m', {verb!r}, '--model', '/nope', '--data', 'a.tfrecord', *{more!r}]\n"
            "try: main()\n"
            "except SystemExit as done: assert done.code == 2, done.code\n"
            "assert 'tensorflow' not in sys.modules\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert "/nope does not exist" in result.stderr
