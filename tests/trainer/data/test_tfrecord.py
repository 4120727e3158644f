import gzip
import io
import random
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.base.errors import UserError
from trainer.data.crc32c import masked_crc
from trainer.data.foreign_files import foreign_file, foreign_kind
from trainer.data.tfrecord import Damage, Record, read_records, write_tfrecords

DATA = [b"first", b"", b"third " * 50]
IDS = [b"\n\x02id\x12\x05video%d" % number for number in range(20)] + [
    b"\n\x08video_id\x12\x05video%d" % number for number in range(20)
]
"""As in the editions of 2018 and of 2016/17."""


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz"])
def test_tensorflow_reads_what_is_written_and_back(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    assert write_tfrecords(path, DATA) == 3
    compression = "GZIP" if name.endswith(".gz") else ""
    assert list(tf.data.TFRecordDataset(path, compression).as_numpy_iterator()) == DATA
    with tf.io.TFRecordWriter(path, compression) as writer:
        for data in DATA:
            writer.write(data)
    assert [record.data for record in read_records(path)] == DATA
    assert [record.offset for record in read_records(path)] == [0, 16 + 5, 16 + 5 + 16]


def test_gzip_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "plainly.tfrecord"
    write_tfrecords(str(tmp_path / "a.gz"), DATA)
    (tmp_path / "a.gz").rename(path)
    assert [record.data for record in read_records(str(path))] == DATA


def test_a_plain_file_that_starts_like_gzip_is_plain(tmp_path: Path) -> None:
    # A record of 0x8b1f bytes: its length is stored as 1f 8b 00 ...
    path = str(tmp_path / "a.tfrecord")
    write_tfrecords(path, [bytes(0x8B1F)])
    assert [len(record.data) for record in read_records(path)] == [0x8B1F]


def test_the_same_records_give_the_same_gzip_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gz", tmp_path / "b.gz"
    write_tfrecords(str(first), DATA)
    write_tfrecords(str(second), DATA)
    assert first.read_bytes() == second.read_bytes()


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    return str(path)


def content(tmp_path: Path, records: list[bytes], name: str = "whole") -> bytes:
    write_tfrecords(str(tmp_path / name), records)
    return (tmp_path / name).read_bytes()


def test_a_damaged_record_is_lost_alone(tmp_path: Path) -> None:
    whole = bytearray(content(tmp_path, DATA))
    whole[12] ^= 1
    damage, *rest = read_records(write(tmp_path, bytes(whole)))
    assert damage == Damage(0, "crc_mismatch", "5 bytes fail their checksum", 1)
    assert [record.data for record in rest] == DATA[1:]


def test_a_damaged_length_loses_the_rest_and_counts_its_videos(tmp_path: Path) -> None:
    whole = bytearray(content(tmp_path, IDS))
    third = sum(16 + len(data) for data in IDS[:2])
    whole[third] ^= 4
    *intact, damage = read_records(write(tmp_path, bytes(whole)))
    assert [record.data for record in intact] == IDS[:2]
    assert (damage.offset, damage.reason, damage.lost_records) == (third, "bad_length", 38)
    assert not damage.at_least


@pytest.mark.parametrize("cut", [1, 3, 11, 12, 15, 20])
def test_a_truncated_tail_is_one_lost_record(tmp_path: Path, cut: int) -> None:
    whole = content(tmp_path, [b"x" * 30, b"y" * 30])
    *intact, damage = read_records(write(tmp_path, whole[:-cut]))
    assert [record.data for record in intact] == [b"x" * 30]
    assert (damage.offset, damage.reason, damage.lost_records) == (46, "truncated_file", 1)
    assert damage.at_least


def test_a_truncated_gzip_file_estimates_what_is_lost(tmp_path: Path) -> None:
    records = [random.Random(number).randbytes(20_000) for number in range(50)]
    whole = content(tmp_path, records, "whole.gz")
    *intact, damage = read_records(write(tmp_path, whole[: len(whole) // 2]))
    assert [record.data for record in intact] == records[: len(intact)]
    assert damage.reason == "truncated_file"
    # The bytes that were there have been read: nothing tells how many are missing.
    assert damage.lost_records >= 1
    assert damage.at_least
    broken = bytearray(whole)
    broken[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
    *intact, damage = read_records(write(tmp_path, bytes(broken)))
    assert damage.reason in ("corrupt_gzip", "bad_length", "truncated_file", "crc_mismatch")
    assert 15 <= len(intact) <= 25
    assert 15 <= damage.lost_records <= 35


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    for content in (b"", gzip.compress(b"")):
        (damage,) = read_records(write(tmp_path, content))
        assert (damage.offset, damage.reason, damage.lost_records, damage.at_least) == (
            0,
            "empty_file",
            1,
            True,
        )


def _tar(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("train00.tfrecord")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML file"),
        (b"PK\x03\x04" + bytes(90), "a zip file"),
        (_tar(bytes(2000)), "a tar archive"),
        (b"The shards of Monday\n", "a text file"),
        (b"mine\n", "a text file"),
    ],
)
def test_a_file_of_another_kind_is_called_so(
    begin: bytes, kind: str, packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = write(tmp_path, packed(begin))
    (damage,) = read_records(path)
    assert (damage.reason, damage.lost_records, damage.at_least) == ("foreign_file", 1, True)
    assert f"the file begins with {begin[:12]!r}, as {kind} does: TFRecords are read" in damage.detail
    assert foreign_file(path) == kind


@pytest.mark.parametrize("begin", [b"BZh", b"PK\x03\x04"])
def test_a_length_that_looks_like_another_kind_is_a_length(begin: bytes) -> None:
    length = begin.ljust(8, b"\0")
    assert foreign_kind(length + struct.pack("<I", masked_crc(length)) + bytes(500)) is None


def test_the_videos_of_a_small_file_with_a_damaged_header_are_counted(tmp_path: Path) -> None:
    whole = bytearray(content(tmp_path, IDS[:9]))
    assert len(whole) < 512
    whole[3] ^= 1
    (damage,) = read_records(write(tmp_path, bytes(whole)))
    assert (damage.reason, damage.lost_records, damage.at_least) == ("bad_length", 9, False)


@given(size=st.integers(0, 2**20), flipped=st.integers(0, 95))
def test_a_header_with_a_wrong_bit_is_no_other_kind_of_file(size: int, flipped: int) -> None:
    length = struct.pack("<Q", size)
    header = int.from_bytes(length + struct.pack("<I", masked_crc(length)), "little")
    assert foreign_kind((header ^ 1 << flipped).to_bytes(12, "little") + bytes(500)) is None


def test_a_hole_of_zeros_is_as_many_records_as_its_bytes_held_before(tmp_path: Path) -> None:
    whole = content(tmp_path, [bytes([1]) * 84] * 40)
    *intact, damage = read_records(write(tmp_path, whole[: len(whole) // 2] + bytes(len(whole) // 2)))
    assert (len(intact), damage.reason, damage.lost_records, damage.at_least) == (20, "bad_length", 20, False)


def test_an_absurd_length_with_a_right_checksum_is_not_read(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 60)
    header = length + struct.pack("<I", masked_crc(length))
    (damage,) = read_records(write(tmp_path, header + bytes(100)))
    assert damage.reason == "bad_length"


def test_a_missing_file_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.tfrecord"):
        list(read_records(str(tmp_path / "nothing.tfrecord")))


@given(
    bit=st.integers(0),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    zipped=st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, bit: int, sizes: list[int], zipped: bool) -> None:
    records = [bytes([number]) * size for number, size in enumerate(sizes)]
    whole = bytearray(content(tmp_path, records, "whole.gz" if zipped else "whole"))
    bit %= len(whole) * 8
    whole[bit // 8] ^= 1 << bit % 8
    items = list(read_records(write(tmp_path, bytes(whole))))
    intact = [item.data for item in items if isinstance(item, Record)]
    if not any(isinstance(item, Damage) for item in items):
        # A gzip stream has bits without a meaning: the time in its header, the padding of its last block.
        assert zipped
        assert intact == records
    assert all(item.lost_records >= 1 for item in items if isinstance(item, Damage))
    assert all(data in records for data in intact)


@given(junk=st.binary(max_size=200), gzipped=st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_damage_and_never_an_exception(tmp_path: Path, junk: bytes, gzipped: bool) -> None:
    items = list(read_records(write(tmp_path, gzip.compress(junk) if gzipped else junk)))
    assert any(isinstance(item, Damage) for item in items) or (gzipped and not junk)
