from pathlib import Path

import numpy as np
import pytest

from tests.records import decoded
from trainer.base.errors import UserError
from trainer.base.files import expand
from trainer.data.messages import SequenceExample
from trainer.data.records import Video, read_videos
from trainer.data.sample import write_sample
from trainer.data.yt8m import RGB_SIZE
from trainer.metrics.video_metrics import VideoMetrics


def read(directory: Path, kind: str) -> list[Video]:
    items = [item for path in expand([f"{directory}/{kind}*.tfrecord"]) for item in read_videos(path)]
    assert all(isinstance(item, Video) for item in items)
    return items


def test_shards_are_valid_and_as_many_as_asked_for(tmp_path: Path) -> None:
    paths = write_sample(
        str(tmp_path), train_videos=11, validate_videos=4, shards=3, min_frames=2, max_frames=5
    )
    names = [f"{kind}{shard:04d}.tfrecord" for kind in ("train", "validate") for shard in range(3)]
    assert [Path(path).name for path in paths] == names
    train, validate = read(tmp_path, "train"), read(tmp_path, "validate")
    assert (len(train), len(validate)) == (11, 4)
    assert {video.num_frames for video in train + validate} <= {2, 3, 4, 5}
    assert len({video.id for video in train + validate}) == 15


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paths = write_sample(str(tmp_path / name), train_videos=4, validate_videos=2, shards=1, seed=seed)
        contents.append([Path(path).read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0][0] != contents[2][0]


@pytest.mark.parametrize(
    "options",
    [
        {"train_videos": 3, "shards": 4},
        {"max_frames": 301},
        {"min_frames": 0},
        {"num_classes": 10},
        {"shards": 0},
        {"order": True, "min_frames": 3},
        {"order": True, "num_classes": 23},
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(UserError):
        write_sample(str(tmp_path), **options)


def matrices(videos: list[Video], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean frames, float [B, 1024], unit length, and labels, bool [B, V]."""
    frames, labels = [], np.zeros((len(videos), num_classes), bool)
    for row, video in enumerate(videos):
        rgb = SequenceExample.FromString(video.sequence_example).feature_lists.feature_list["rgb"]
        codes = np.frombuffer(rgb, np.uint8).reshape(video.num_frames, -1)[:, -RGB_SIZE:]
        mean = decoded(codes).mean(axis=0)
        frames.append(mean / np.linalg.norm(mean))
        labels[row, list(video.labels)] = True
    return np.array(frames), labels


def test_it_can_be_learnt_but_not_guessed_and_not_perfectly(tmp_path: Path) -> None:
    classes = 3862
    write_sample(str(tmp_path), train_videos=1500, validate_videos=300, shards=1, max_frames=6)
    inputs, labels = matrices(read(tmp_path, "train"), classes)
    unseen, truth = matrices(read(tmp_path, "validate"), classes)
    assert 2.7 < labels.sum(axis=1).mean() < 3.3

    def gap(scores: np.ndarray) -> float:
        metrics = VideoMetrics(classes)
        metrics.update(np.ascontiguousarray(scores, np.float32), truth)
        return metrics.result().gap

    prior = labels.mean(axis=0)
    assert gap(np.tile(prior, (len(truth), 1))) < 0.15
    # Ridge regression on mean frames stands for any network.
    mean = inputs.mean(axis=0)
    centred = inputs - mean
    gram = centred.T @ centred + 0.1 * np.eye(RGB_SIZE)
    weights = np.linalg.solve(gram, centred.T @ (labels - prior))
    assert 0.8 < gap((unseen - mean) @ weights + prior) < 0.98


def test_a_directory_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        write_sample(str(tmp_path / "file"))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    sizes = {"train_videos": 2, "validate_videos": 2, "shards": 1}
    for _ in range(2):  # a sample may take the place of another
        write_sample(str(tmp_path), **sizes)
    (tmp_path / "train0000.tfrecord").unlink()
    (tmp_path / "validate0000.tfrecord").write_text("mine")
    with pytest.raises(UserError, match=r"validate0000\.tfrecord is there, and is no file of a sample"):
        write_sample(str(tmp_path), **sizes)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_larger_sample_is_not_mixed_with_a_smaller_one(tmp_path: Path) -> None:
    write_sample(str(tmp_path), train_videos=2, validate_videos=2, shards=2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        UserError, match=r"train0001\.tfrecord is there, of an earlier sample with more than 1 shards"
    ):
        write_sample(str(tmp_path), train_videos=3, validate_videos=3, shards=1)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_sample_that_no_disk_holds_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the sample would take about [0-9,]+ MiB, and [0-9,]+ MiB are free"):
        write_sample(str(tmp_path / "new"), train_videos=10**400)
    assert not [*tmp_path.iterdir()]


def test_an_order_is_all_that_tells_its_classes_apart(tmp_path: Path) -> None:
    write_sample(str(tmp_path), train_videos=600, validate_videos=1, shards=1, min_frames=8, order=True)
    videos = read(tmp_path, "train")
    assert {len(video.labels) for video in videos} == {1}
    assert {label for video in videos for label in video.labels} == set(range(24))
    firsts: dict[int, list[np.ndarray]] = {}
    for video in videos:
        rgb = SequenceExample.FromString(video.sequence_example).feature_lists.feature_list["rgb"]
        codes = np.frombuffer(rgb, np.uint8).reshape(video.num_frames, -1)[:, -RGB_SIZE:] - np.float32(127.5)
        firsts.setdefault(video.labels[0], []).append(codes[0])
    # Six orders begin with the same signature, so their first frames are alike; those of others are not.
    means = np.array([np.mean(firsts[label], axis=0) for label in range(24)])
    alike = np.corrcoef(means).reshape(4, 6, 4, 6).transpose(0, 2, 1, 3)
    same = np.eye(4, dtype=bool)
    assert alike[same].min() > 0.8
    assert alike[~same].max() < 0.2
