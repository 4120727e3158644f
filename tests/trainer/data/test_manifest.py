"""Files by reference: every reader takes an address in a manifest for a file without the records that are left out."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import sequence_example
from trainer.base.errors import UserError
from trainer.base.files import file_state
from trainer.data.crc32c import Checksum
from trainer.data.input_pipeline import eval_batches, train_batches
from trainer.data.manifest import DataFile, example_files, referenced, spans_of, write_manifest
from trainer.data.records import read_videos
from trainer.data.tfrecord import read_records, write_tfrecords

IDS = [b"a", b"b", b"c", b"d"]


def record(video_id: bytes, frames: int = 3) -> bytes:
    content = [bytes([video_id[0] + step]) for step in range(frames)]
    return sequence_example([one * 1024 for one in content], [one * 128 for one in content], (1, 5), video_id)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train0.tfrecord"
    write_tfrecords(str(path), map(record, IDS))
    return path


def address(path: Path, skipped: tuple[int, ...] = (), **changed: int) -> str:
    size, modified = file_state(str(path))
    videos = len(IDS) - len(skipped)
    values = {"bytes": size, "modified": modified, "crc32c": "", "videos": videos, "span": 7, **changed}
    write_manifest(str(path.parent), [DataFile(file=str(path), skipped=skipped, **values)])
    (made,) = example_files([str(path.parent / "manifest.jsonl")])
    return made


def ids(path: str) -> list[bytes]:
    return [video.id for video in read_videos(path)]


def test_every_reader_passes_over_what_is_skipped(data: Path) -> None:
    offsets = [one.offset for one in read_records(str(data))]
    content = bytearray(data.read_bytes())
    content[offsets[3] + 100] ^= 1  # the last record is damaged, and known to be
    data.write_bytes(content)
    made = address(data, (offsets[1], offsets[3]))
    assert spans_of([made]) == {7}
    assert ids(made) == [b"a", b"c"]
    (batch,) = eval_batches([made], 9)
    assert batch["id"].tolist() == [b"a", b"c"]
    settings = {"batch_size": 4, "frames_per_video": 2, "seed": 0, "shuffle_buffer": 8, "files_per_group": 2}
    seen = next(train_batches([made], **settings))["frames"][..., 0]
    assert {int(value) for value in np.unique(seen)} <= {0, *range(97, 100), *range(99, 102)}


def test_the_batches_are_those_of_a_copy_to_the_last_byte(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tfrecord"
    write_tfrecords(str(copy), (record(one) for one in IDS if one != b"b"))
    made = address(data, ([one.offset for one in read_records(str(data))][1],))
    settings = {"batch_size": 6, "frames_per_video": 2, "seed": 3, "shuffle_buffer": 2, "files_per_group": 1}
    for _, one, other in zip(
        range(5), train_batches([made], **settings), train_batches([str(copy)], **settings), strict=False
    ):
        assert {key: value.tobytes() for key, value in one.items()} == {
            key: value.tobytes() for key, value in other.items()
        }


@pytest.mark.parametrize("how", ["longer", "later", "gone"])
def test_a_file_that_has_changed_is_refused(data: Path, how: str) -> None:
    made = address(data)
    if how == "longer":
        data.write_bytes(data.read_bytes() + b"x")
    elif how == "later":
        os.utime(data, ns=(0, 10**18))
    else:
        data.unlink()
    with pytest.raises(UserError, match=r"train0\.tfrecord.*(changed since it was checked|No such file)"):
        ids(made)


@given(end=st.integers(1, 400), flipped=st.integers(0, 399))
def test_a_manifest_that_is_not_as_it_was_written_is_never_read(
    end: int, flipped: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = tmp_path_factory.mktemp("split")
    file = DataFile(file="a", bytes=1, modified=1, crc32c="", videos=2, skipped=(3,))
    write_manifest(str(made), [file, dataclasses.replace(file, file="b")])
    content = bytearray((made / "manifest.jsonl").read_bytes())
    content[flipped % len(content)] ^= 1
    for number, damaged in enumerate(
        (content, (made / "manifest.jsonl").read_bytes()[: max(1, end % len(content))])
    ):
        other = made / str(number) / "manifest.jsonl"
        other.parent.mkdir()
        other.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            example_files([str(other)])


def test_a_manifest_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    line = '{"file": "a", "bytes": 1, "modified": 1, "crc32c": "", "videos": 2, "skipped": [3]}\n'
    (tmp_path / "manifest.jsonl").write_text(line * 2)
    (_, second) = example_files([f"{tmp_path}/manifest.jsonl"])
    assert referenced(second).skipped == (3,)


@pytest.mark.parametrize("content", ['{"file": "x", "by', "[]", '{"file": "x"}'])
def test_a_damaged_manifest_is_named_and_what_to_remove(tmp_path: Path, content: str) -> None:
    made = tmp_path / "examples/3/Split-train/manifest.jsonl"
    made.parent.mkdir(parents=True)
    made.write_text(content)
    with pytest.raises(UserError, match=f"^{made} is damaged .*: remove {tmp_path}/examples/3 and give"):
        example_files([str(made)])


def test_a_file_of_which_nothing_is_used_is_not_opened(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), [DataFile(file="gs://nowhere/x", bytes=1, modified=1, crc32c="", videos=0)])
    assert ids(f"{tmp_path}/manifest.jsonl#00000") == []


def test_plain_paths_stay_plain(data: Path) -> None:
    assert example_files([str(data)]) == [str(data)]
    assert referenced(f"{data}#0") is None


def test_the_checksum_is_that_of_the_whole_file_whatever_is_in_it(data: Path, tmp_path: Path) -> None:
    import google_crc32c

    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes(data.read_bytes()[:-7])
    zipped = tmp_path / "zipped.tfrecord.gz"
    write_tfrecords(str(zipped), map(record, IDS))
    for path in (data, cut, zipped):
        checksum = Checksum()
        list(read_records(str(path), checksum))
        assert checksum.hexadecimal == f"{google_crc32c.value(path.read_bytes()):08x}"
        assert checksum.count == path.stat().st_size
