"""TFRecord files, read strictly: every checksum is checked, and what cannot be read is reported, not skipped.

A record is its length (uint64, little-endian), the masked CRC-32C of those 8 bytes, the data, and the masked
CRC-32C of the data (tensorflow/core/lib/io/record_writer.h). Plain and gzip files are told apart by their
content.
"""

import gzip
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from trainer.base.files import file_size, open_file
from trainer.data.crc32c import Checksum, is_header, masked_crc
from trainer.data.foreign_files import BEGIN_BYTES, foreign_kind
from trainer.data.manifest import DataFile, referenced, unchanged_file

MAX_RECORD_BYTES = 1 << 28
"""A longer record cannot be a video; its length is damaged, whatever its checksum says."""

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ID_ENTRIES = (b"\n\x02id\x12", b"\n\x08video_id\x12")
"""The feature "id", or "video_id" in the edition of 2016/17, as it stands in a serialised record: once a video."""
_NOMINAL_GZIP_BYTES = 300_000
"""About one 230-frame video, for a gzip file of which nothing can be read."""


class Record(NamedTuple):
    """One intact record."""

    offset: int
    """Place of the record: bytes of the uncompressed file before its header."""
    data: bytes


class Damage(NamedTuple):
    """A part of a file that is no intact record."""

    offset: int
    """Place of the part: bytes of the uncompressed file before it."""
    reason: str
    """`crc_mismatch` for a single record; for the rest of the file `bad_length`, `truncated_file`, `corrupt_gzip`,
    `empty_file` or, where it is of another kind, `foreign_file`."""
    detail: str
    """Text for people that says what is wrong."""
    lost_records: int
    """Number of lost records, estimated where they cannot be counted; at least 1."""
    at_least: bool = False
    """Whether `lost_records` is a lower bound: the end of the file is missing, or nothing of it could be read, so the
    file does not tell how many records it held."""


class _BrokenStreamError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def is_gzip(path: str) -> bool:
    """Whether the file is compressed, by its first bytes."""
    with open_file(path, "rb") as raw:
        head = raw.read(_HEADER.size)
    return not is_header(head) and head.startswith(_GZIP_MAGIC)


def read_records(path: str, checksum: Checksum | None = None) -> Iterator[Record | Damage]:
    """Yields all records of a file in order. A wrong checksum of data loses one record, a wrong length the rest.

    A file of no bytes is a valid, empty TFRecord file to other readers; here it is reported as `empty_file`,
    because in a data set of shards it is a download that failed.

    Args:
        path: TFRecord file, plain or gzip, local or in a bucket; or an address in a manifest (see
            `trainer.data.manifest`), of which the skipped places are passed over.
        checksum: Receives the bytes of the file as it is stored, to its end.

    Raises:
        UserError: There is no such file, or a file of a manifest has changed since it was checked.
    """
    if file := referenced(path):
        yield from used_records(file)
        return
    with open_file(path, "rb") as raw:
        head = raw.read(_HEADER.size)
        if not head:
            yield Damage(0, "empty_file", "the file has no bytes", 1, at_least=True)
            return
        raw.seek(0)
        if checksum is not None:
            raw = checksum.watch(raw)
        if is_header(head) or not head.startswith(_GZIP_MAGIC):
            yield from _records(raw.read, lambda seen: 1)
            if checksum is not None:
                checksum.finish()
            return
        size = file_size(path)
        stream = gzip.GzipFile(fileobj=raw, mode="rb")

        def read(count: int) -> bytes:
            try:
                return stream.read(count)
            except EOFError as error:
                raise _BrokenStreamError("truncated_file", f"the gzip stream ends early ({error})") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise _BrokenStreamError("corrupt_gzip", str(error)) from error

        def estimate_lost(seen: int) -> int:
            consumed = max(1, raw.tell())
            return max(1, round(seen * (size - consumed) / consumed if seen else size / _NOMINAL_GZIP_BYTES))

        yield from _records(read, estimate_lost)
        if checksum is not None:
            checksum.finish()


def used_records(file: DataFile) -> Iterator[Record | Damage]:
    """Yields the records of a file of a manifest, without those that are to be skipped.

    Raises:
        UserError: The file has changed since it was checked.
    """
    if file.videos:
        skipped = frozenset(file.skipped)
        yield from (item for item in read_records(unchanged_file(file)) if item.offset not in skipped)


def _records(read: Callable[[int], bytes], estimate_lost: Callable[[int], int]) -> Iterator[Record | Damage]:
    """Yields the records of an uncompressed stream.

    Args:
        read: Returns the next bytes of the stream, at most as many as it is asked for.
        estimate_lost: Turns the number of records before the stream broke into the number of lost ones.
    """
    offset = seen = 0
    try:
        while header := read(_HEADER.size):
            intact = is_header(header)
            begin = b"" if intact or offset else read(BEGIN_BYTES - len(header))
            if not offset and (kind := foreign_kind(header + begin)):
                detail = f"the file begins with {header!r}, as {kind} does: TFRecords are read plain or gzip"
                yield Damage(offset, "foreign_file", detail, 1, at_least=True)
                return
            if len(header) < _HEADER.size:
                detail = f"{len(header)} bytes where a header of {_HEADER.size} should stand"
                yield Damage(offset, "truncated_file", detail, 1, at_least=True)
                return
            length, _ = _HEADER.unpack(header)
            if not intact or length > MAX_RECORD_BYTES:
                detail = f"the length {length} fails its checksum, or is more than {MAX_RECORD_BYTES}"
                if not offset:
                    detail += f"; the file begins with {header!r}"
                estimate = estimate_lost(seen)
                rest = _count_ids(begin, read)
                if not rest.to_the_end:
                    lost = max(rest.ids, estimate)
                elif rest.ids or not seen:
                    lost = rest.ids
                else:
                    # Bytes without any id, such as a hole of zeros: records are as long as those before, by estimate.
                    lost = round(rest.bytes * seen / offset)
                nothing_known = not rest.ids and not seen
                yield Damage(offset, "bad_length", detail, max(1, lost), at_least=nothing_known)
                return
            # Data and checksum are read apart, so that the data need not be copied.
            data, footer = read(length), read(_CHECKSUM.size)
            given = len(data) + len(footer)
            if given < length + _CHECKSUM.size:
                detail = f"{given} bytes where {length + _CHECKSUM.size} should stand"
                yield Damage(offset, "truncated_file", detail, 1, at_least=True)
                return
            if _CHECKSUM.unpack(footer) == (masked_crc(data),):
                yield Record(offset, data)
            else:
                yield Damage(offset, "crc_mismatch", f"{length} bytes fail their checksum", 1)
            offset += _HEADER.size + given
            seen += 1
    except _BrokenStreamError as error:
        nothing_known = error.reason == "truncated_file" or not seen
        yield Damage(offset, error.reason, str(error), estimate_lost(seen), at_least=nothing_known)
        return
    if not offset:
        yield Damage(0, "empty_file", "there is no record in it", 1, at_least=True)


class _Rest(NamedTuple):
    """The content of the rest of a file, from which no records can be read."""

    ids: int
    """Number of videos. Without lengths to go by, they are counted by the name of a feature."""
    bytes: int
    to_the_end: bool
    """Whether it could be read to its end."""


def _count_ids(begin: bytes, read: Callable[[int], bytes]) -> _Rest:
    count = size = 0
    tails = dict.fromkeys(_ID_ENTRIES, b"")
    try:
        for chunk in itertools.chain([begin], iter(lambda: read(_CHUNK_BYTES), b"")):
            size += len(chunk)
            for entry, tail in tails.items():
                window = tail + chunk
                count += window.count(entry)
                tails[entry] = window[-(len(entry) - 1) :]
    except _BrokenStreamError:
        return _Rest(count, size, to_the_end=False)
    return _Rest(count, size, to_the_end=True)


def write_tfrecords(path: str, records: Iterable[bytes]) -> int:
    """Writes serialised records to a file. The same records give the same bytes.

    Args:
        path: File to write, local or in a bucket; compressed by gzip when it ends in .gz.
        records: The serialised records.

    Returns:
        Number of the records.
    """
    count = 0
    with open_file(path, "wb") as file:
        if path.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as stream:
                for record in records:
                    write_record(stream, record)
                    count += 1
            return count
        for record in records:
            write_record(file, record)
            count += 1
    return count


def write_record(file: Any, data: bytes) -> None:
    """Writes one record to an open binary file."""
    length = struct.pack("<Q", len(data))
    file.write(length + _CHECKSUM.pack(masked_crc(length)))
    file.write(data)
    file.write(_CHECKSUM.pack(masked_crc(data)))
