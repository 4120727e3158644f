"""What is known of a data file, kept in the pipeline root, so that a later run need not read the file again.

A check is found by the file's address, size and time of change; it holds the CRC-32C of what was read. Beside it lie
the summaries of the videos, their statistics and, where the file is not as readers want it (video level, or
compressed), its videos as frame-level records. All of it is the same whoever writes it, and nothing is changed later.
"""

import hashlib
import json
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from components.example_gen.distribution import Distribution
from components.example_gen.packed import pack, unpack
from components.example_gen.partial_statistics import STATISTICS, partial_statistics
from trainer.base.errors import UserError
from trainer.base.files import FileState, exists, file_state, make_dirs, open_file, remove_file, rename
from trainer.data.checks.file_check import FileCheck, FileCounter
from trainer.data.crc32c import Checksum
from trainer.data.encoding import sequence_example, summary_example
from trainer.data.manifest import DataFile
from trainer.data.records import Reject, read_parts
from trainer.data.tfrecord import is_gzip, write_record

_FORM = 1
"""Part of every key: another number when what is kept changes."""
_CHECK, _SUMMARIES, _EXAMPLES = "check.bin", "summaries.tfrecord", "examples.tfrecord"


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file that lies beside the check.

    Attributes:
        file: Address of the file.
        bytes: Size of the file.
        crc32c: Checksum of the file.
        offsets: int64 [N], where the record of each valid video of the data file begins; -1 for one without labels.
    """

    file: str
    bytes: int
    crc32c: str
    offsets: np.ndarray


@dataclass(frozen=True, kw_only=True)
class KeptCheck:
    """The check of a data file.

    Attributes:
        check: What the file holds.
        modified: Time of the file's last change, in nanoseconds since 1970.
        crc32c: Checksum of the file.
        rejected: int64 [R], the places of what is no valid video.
        rejects: One JSON line for each of them.
        distribution: Sums over the videos with labels.
        summaries: The summaries of the videos with labels.
        examples: The videos with labels as frame-level records; None where the data file itself has them.
    """

    check: FileCheck
    modified: int
    crc32c: str
    rejected: np.ndarray
    rejects: bytes
    distribution: Distribution
    summaries: KeptFile
    examples: KeptFile | None

    def data_file(self, used: np.ndarray, span: int) -> DataFile:
        """Returns the file to read examples from.

        Args:
            used: bool [N], which of the valid videos are used.
            span: The span of the data file.
        """
        if self.examples:
            return _reference(self.examples, used, span)
        skipped = [*self.rejected.tolist(), *self.check.rows["offset"][~used].tolist()]
        return DataFile(
            file=self.check.path,
            bytes=self.check.bytes,
            modified=self.modified,
            crc32c=self.crc32c,
            videos=int(used.sum()),
            skipped=tuple(sorted(skipped)),
            span=span,
        )

    def summary_file(self, used: np.ndarray, span: int) -> DataFile:
        """Returns the file to read summaries from; see `data_file`."""
        return _reference(self.summaries, used, span)


def _reference(kept: KeptFile, used: np.ndarray, span: int) -> DataFile:
    skipped = kept.offsets[~used]
    return DataFile(
        file=kept.file,
        bytes=kept.bytes,
        modified=0,  # it never changes
        crc32c=kept.crc32c,
        videos=int(used.sum()),
        skipped=tuple(skipped[skipped >= 0].tolist()),
        span=span,
    )


def checked(path: str, num_classes: int, checks_dir: str) -> KeptCheck:
    """Returns the check of a file: the one that is kept, or a new one, which is kept then.

    Args:
        path: TFRecord file, plain or gzip, local or in a bucket.
        num_classes: Number of classes, V.
        checks_dir: Directory of all checks.

    Raises:
        UserError: There is no such file, or it changes while it is read.
    """
    state = file_state(path)
    directory = kept_directory(checks_dir, path, state, num_classes)
    return _read(directory) or _make(path, state, num_classes, directory)


def kept_directory(checks_dir: str, path: str, state: FileState, num_classes: int) -> str:
    """Returns the directory of a file's check.

    Args:
        checks_dir: Directory of all checks.
        path: Address of the file.
        state: The file's size and time of change.
        num_classes: Number of classes, V.
    """
    identity = json.dumps([_FORM, path, state.size, state.modified, num_classes])
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return posixpath.join(checks_dir, key[:2], key)


def _make(path: str, state: FileState, num_classes: int, directory: str) -> KeptCheck:
    make_dirs(directory)
    counter, checksum = FileCounter(path, state.size), Checksum()
    distribution = Distribution.empty(num_classes)
    rejects: list[Reject] = []
    videos: list[tuple[bytes, tuple[int, ...], int]] = []
    examples: _Writer | None = None
    compressed = state.size > 0 and is_gzip(path)
    with ExitStack() as stack:
        summaries = stack.enter_context(_Writer.at(posixpath.join(directory, _SUMMARIES)))
        for item in read_parts(path, num_classes, checksum):
            if isinstance(item, Reject):
                rejects.append(item)
                counter.add(item)
                continue
            video, offset = item
            counter.add_video(video, offset)
            if not video.labels:
                summaries.skip()
                if examples:
                    examples.skip()
                continue
            if not videos and (compressed or video.is_video_level):
                examples = stack.enter_context(_Writer.at(posixpath.join(directory, _EXAMPLES)))
                examples.offsets += summaries.offsets  # of the videos without labels before this one
            if examples:
                examples.write(sequence_example(video.id, video.labels, bytes(video.rgb), bytes(video.audio)))
            summaries.write(summary_example(video.id, video.labels, video.num_frames))
            distribution.add(video)
            videos.append((video.id, video.labels, video.num_frames))
    if file_state(path) != state:
        raise UserError(f"{path} changes while it is read; start the run when it is whole")
    if videos:
        _write(posixpath.join(directory, STATISTICS), partial_statistics(videos))
    kept = KeptCheck(
        check=counter.finish(),
        modified=state.modified,
        crc32c=checksum.hexadecimal,
        rejected=np.array([reject.offset for reject in rejects], np.int64),
        rejects="".join(json.dumps(asdict(reject)) + "\n" for reject in rejects).encode(),
        distribution=distribution,
        summaries=summaries.kept(),
        examples=examples and examples.kept(),
    )
    _keep(kept, directory)  # the last: what has a check is whole
    return kept


def _keep(kept: KeptCheck, directory: str) -> None:
    files = {"summaries": kept.summaries, "examples": kept.examples}
    document = {
        "check": kept.check.document(),
        "modified": kept.modified,
        "crc32c": kept.crc32c,
        "files": {name: [one.bytes, one.crc32c] for name, one in files.items() if one},
    }
    arrays = {
        "rejects": np.frombuffer(kept.rejects, np.uint8),
        "rejected": kept.rejected,
        "rows": kept.check.rows,
        **{f"{name}_offsets": one.offsets for name, one in files.items() if one},
        **kept.distribution.arrays(),
    }
    _write(posixpath.join(directory, _CHECK), pack(document, arrays))


def _read(directory: str) -> KeptCheck | None:
    path = posixpath.join(directory, _CHECK)
    if not exists(path):
        return None
    with open_file(path, "rb") as file:
        found = unpack(file.read())
    if found is None:
        return None  # damaged: the file is read once more
    document, arrays = found
    names = {"summaries": _SUMMARIES, "examples": _EXAMPLES}
    files = {
        name: KeptFile(
            file=posixpath.join(directory, names[name]),
            bytes=size,
            crc32c=crc32c,
            offsets=arrays[f"{name}_offsets"],
        )
        for name, (size, crc32c) in document["files"].items()
    }
    return KeptCheck(
        check=FileCheck.of_document(document["check"], arrays["rows"]),
        modified=document["modified"],
        crc32c=document["crc32c"],
        rejected=arrays["rejected"],
        rejects=arrays["rejects"].tobytes(),
        distribution=Distribution(**{name: arrays[name] for name in Distribution.empty(0).arrays()}),
        summaries=files["summaries"],
        examples=files.get("examples"),
    )


def _write(path: str, data: bytes) -> None:
    with _whole(path) as file:
        file.write(data)


@contextmanager
def _whole(path: str) -> Iterator[Any]:
    """Opens a file that appears at its address when the block ends without an error."""
    unfinished = f"{path}.{uuid.uuid4().hex}"
    try:
        with open_file(unfinished, "wb") as file:
            yield file
        rename(unfinished, path)
    except BaseException:
        remove_file(unfinished)
        raise


class _Writer:
    """Writes records one after the other, and remembers where each begins."""

    def __init__(self, path: str, file: Any) -> None:
        self._path, self._file = path, Checksum().watch(file)
        self.offsets: list[int] = []

    @classmethod
    @contextmanager
    def at(cls, path: str) -> Iterator["_Writer"]:
        """Opens a file that appears when the block ends without an error."""
        with _whole(path) as file:
            yield cls(path, file)

    def write(self, record: bytes) -> None:
        self.offsets.append(self._file.count)
        write_record(self._file, record)

    def skip(self) -> None:
        """Notes that the next video has no record here."""
        self.offsets.append(-1)

    def kept(self) -> KeptFile:
        return KeptFile(
            file=self._path,
            bytes=self._file.count,
            crc32c=self._file.hexadecimal,
            offsets=np.array(self.offsets, np.int64),
        )
