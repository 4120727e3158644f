"""Predictions of whole data sets, on a predictor of the tests' own."""

import json
import pathlib
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.inference.batch_inference import infer
from serving.inference.ordered_map import ordered_map
from tests.records import random_example
from trainer.base.errors import UserError
from trainer.data.records import parse_video
from trainer.data.tfrecord import write_tfrecords
from trainer.data.yt8m import ANY_CLASSES

FILES, VIDEOS = 3, 5
BAD = (1, 2)
"""File and place of a record that is no video."""


class Predictor:
    """A video's scores are its number of frames / 100; fails at the video `fail_at`."""

    def __init__(self, fail_at=None):
        self.asked = []
        self._fail_at = fail_at

    def predict(self, examples):
        videos = [parse_video(example, ANY_CLASSES) for example in examples]
        if self._fail_at in [video.id for video in videos]:
            raise RuntimeError("interrupted")
        self.asked += [video.id for video in videos]
        frames = np.array([video.num_frames for video in videos])
        classes = np.tile(np.arange(20), (len(videos), 1))
        return classes, (frames[:, None] / 100 - classes / 10_000).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    paths = []
    for index in range(FILES):
        records = [
            b"no record"
            if (index, place) == BAD
            else random_example(generator, 1 + place, (), f"v{index}{place}".encode())
            for place in range(VIDEOS)
        ]
        paths.append(str(directory / f"{index}.tfrecord"))
        write_tfrecords(paths[-1], records)
    return paths


IDS = [f"v{index}{place}" for index in range(FILES) for place in range(VIDEOS) if (index, place) != BAD]


def test_a_submission_in_input_order_with_bad_records_reported(files, tmp_path):
    out, rejects, progress = str(tmp_path / "s.csv"), [], []
    result = infer(
        Predictor(), "m", files, out, batch_size=2, on_reject=rejects.append, on_progress=progress.append
    )
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "VideoId,LabelConfidencePairs"
    assert [line.partition(",")[0] for line in lines[1:]] == IDS
    first = lines[1].partition(",")[2].split()
    assert len(first) == 40
    assert first[:6] == ["0", "0.01", "1", "0.0099", "2", "0.0098"]
    assert (result.videos, result.files, result.resumed_files, result.rejected) == (14, 3, 0, 1)
    (reject,) = rejects
    (line,) = (tmp_path / "s.csv.rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["file"] == reject.file == files[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "s.csv.rejects.jsonl"]
    assert [one.videos for one in progress] == [2, 4, 5, 7, 9, 11, 13, 14]
    shares = [one.share for one in progress]
    assert shares == sorted(shares)
    assert 0.95 < shares[-1] <= 1
    assert progress[-1].per_second > 0
    assert progress[0].seconds_left > 0


def test_a_video_stands_once_in_the_output_whatever_the_files(files, tmp_path):
    """A copied file, a repeated record and a lost file, in a submission that names each video once."""
    copy, extra, empty = (
        str(tmp_path / name) for name in ("copy.tfrecord", "extra.tfrecord", "empty.tfrecord")
    )
    (tmp_path / "copy.tfrecord").write_bytes(pathlib.Path(files[0]).read_bytes())
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    generator = np.random.default_rng(1)
    write_tfrecords(extra, [random_example(generator, 9, (4000,), one) for one in (b"v03", b"new", b"new")])
    out = str(tmp_path / "s.csv")
    result = infer(Predictor(), "m", [*files, copy, extra, empty], out, batch_size=2)
    lines = (tmp_path / "s.csv").read_text().splitlines()[1:]
    assert [line.partition(",")[0] for line in lines] == [*IDS, "new"]
    assert result.videos == len(IDS) + 1
    assert result.rejected_by_reason == {"duplicate_id": VIDEOS + 2, "empty_file": 5, "not_an_example": 1}
    assert result.rejected == sum(result.rejected_by_reason.values())
    assert result.copies == {copy: files[0]}
    assert [(loss.file, loss.videos, loss.whole) for loss in result.losses] == [
        (empty, 5, True)
    ]  # of 23 records in 5 files
    rejects = [json.loads(line) for line in (tmp_path / "s.csv.rejects.jsonl").read_text().splitlines()]
    assert [reject["file"] for reject in rejects] == [files[1], copy, extra, extra, empty]
    assert [reject["lost_records"] for reject in rejects] == [1, VIDEOS, 1, 1, 1]
    size = len(random_example(generator, 9, (4000,), b"v03")) + 16
    assert [reject["offset"] for reject in rejects[2:4]] == [0, 2 * size]


def test_parquet(files, tmp_path):
    out = str(tmp_path / "p.parquet")
    infer(Predictor(), "m", files, out)
    table = pq.read_table(out).to_pydict()
    assert table["VideoId"] == IDS
    assert table["classes"][0] == list(range(20))
    np.testing.assert_allclose(table["scores"][4], 0.05 - np.arange(20) / 10_000, atol=1e-7)


def test_an_interrupted_one_goes_on_with_the_file_that_was_not_done(files, tmp_path):
    whole, out = str(tmp_path / "whole.csv"), str(tmp_path / "s.csv")
    infer(Predictor(), "m", files, whole)
    with pytest.raises(RuntimeError, match="interrupted"):
        infer(Predictor(fail_at=b"v23"), "m", files, out, batch_size=1)
    assert not (tmp_path / "s.csv").exists()
    again = Predictor()
    result = infer(again, "m", files, out)
    assert again.asked == [b"v20", b"v21", b"v22", b"v23", b"v24"]
    assert (result.videos, result.resumed_files, result.rejected) == (14, 2, 1)
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "s.csv.rejects.jsonl").exists()


def test_parts_of_another_model_are_not_used(files, tmp_path):
    out = str(tmp_path / "s.csv")
    with pytest.raises(RuntimeError):
        infer(Predictor(fail_at=b"v20"), "m", files, out, batch_size=1)
    again = Predictor()
    assert infer(again, "n", files, out).resumed_files == 0
    assert len(again.asked) == 14


def test_what_was_done_outlives_a_start_with_other_files_or_another_model(files, tmp_path):
    out = str(tmp_path / "s.csv")
    with pytest.raises(RuntimeError):
        infer(Predictor(fail_at=b"v20"), "m", files, out, batch_size=1)
    with pytest.raises(RuntimeError):
        infer(Predictor(fail_at=b"v00"), "n", files[:1], out)
    with pytest.raises(RuntimeError):
        infer(Predictor(fail_at=b"v20"), "m", files[2:], out)
    again = Predictor()
    assert infer(again, "m", files[1:], out).resumed_files == 1
    assert again.asked == [b"v20", b"v21", b"v22", b"v23", b"v24"]
    assert not (tmp_path / "s.csv.parts").exists()


def test_two_at_once_do_not_write_one_output(files, tmp_path):
    out, refused = str(tmp_path / "out.csv"), []

    class Meanwhile(Predictor):
        def predict(self, examples):
            if not refused:
                with pytest.raises(UserError, match=r"another process is writing .*out\.csv: wait") as raised:
                    infer(Predictor(), "b", files[:1], out)
                refused.append(raised.value)
            return super().predict(examples)

    infer(Meanwhile(), "a", files, out)
    assert refused
    assert sorted(path.name for path in tmp_path.glob("out.csv*")) == ["out.csv", "out.csv.rejects.jsonl"]


def test_what_cannot_be_done(files, tmp_path):
    with pytest.raises(UserError, match=r"written as .csv or .parquet"):
        infer(Predictor(), "m", files, "s.txt")
    with pytest.raises(UserError, match="is a file and no directory"):
        infer(Predictor(), "m", files, f"{files[0]}/s.csv")
    bad = str(tmp_path / "bad.tfrecord")
    write_tfrecords(bad, [b"no record"])
    with pytest.raises(UserError, match="no valid video"):
        infer(Predictor(), "m", [bad], str(tmp_path / "s.csv"))
    assert not (tmp_path / "s.csv.parts").exists()


def test_ordered_map_keeps_the_order_and_its_bound():
    lock, running, most, taken = threading.Lock(), 0, 0, []
    pair = threading.Barrier(2)

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait(60)  # passes only when two run at once
        with lock:
            running -= 1
        return item * item

    def items():
        for item in range(10):
            taken.append(item)
            yield item

    results = ordered_map(work, items(), 2)
    assert next(results) == (0, 0)
    assert len(taken) <= 3
    assert list(results) == [(item, item * item) for item in range(1, 10)]
    assert most == 2


def test_ordered_map_ends_with_the_first_failure():
    def work(item):
        if item == 3:
            raise KeyError(item)
        return item

    results = ordered_map(work, range(1_000_000), 4)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)


def test_a_directory_of_somebody_else_in_the_place_of_the_parts_is_left_alone(files, tmp_path):
    parts = tmp_path / "s.csv.parts"
    parts.mkdir()
    (parts / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"has files that are not of an inference .*: move it away"):
        infer(Predictor(), "m", files, str(tmp_path / "s.csv"))
    assert (parts / "thesis.tex").read_text() == "years of work"
    # Others have plans, too.
    (parts / "plan.json").write_text('{"chapters": 7}')
    with pytest.raises(UserError, match=r"has files that are not of an inference .*: move it away"):
        infer(Predictor(), "m", files, str(tmp_path / "s.csv"))
    assert (parts / "thesis.tex").read_text() == "years of work"
    (parts / "thesis.tex").unlink()
    (parts / "plan.json").unlink()
    infer(Predictor(), "m", files, str(tmp_path / "s.csv"))
    assert not parts.exists()
