"""What becomes of one input file: a line in the manifests of examples and summaries, and a list of rejects."""

import json
import posixpath
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from components.example_gen.distribution import Distribution
from components.example_gen.kept_check import checked
from trainer.base.files import make_dirs, open_file, rename
from trainer.data.checks.duplicates import copied_file, duplicate_rejects
from trainer.data.checks.file_check import FileCheck
from trainer.data.manifest import DataFile
from trainer.data.records import Reject, parse_video
from trainer.data.tfrecord import Record, used_records, write_record
from trainer.data.yt8m import ANY_CLASSES

NO_LABELS = "no_labels"
"""Reason in the list of rejects for videos without labels, which can neither train nor evaluate. They are no bad
records, so they do not count in the share of rejects."""


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """The conversion of one input file."""

    path: str
    split: str
    index: int
    """Number of this shard, from 0 to `count` - 1."""
    count: int
    """Number of shards of the split."""
    examples_uri: str
    """Address of the artifact of examples. Its shards lie in its directory `Split-<split>`, as TFX expects."""
    summaries_uri: str
    staging_uri: str
    """Address of a directory for files that are not whole yet, and for the rejects of each shard."""
    checks_uri: str
    """Address of the directory of the kept checks of all runs; see `components.example_gen.kept_check`."""
    num_classes: int
    span: int = 0
    copy: bool = False
    """Whether shards are written, in place of lines in a manifest."""


@dataclass(kw_only=True)
class ShardResult:
    """What became of one input file."""

    split: str
    index: int
    videos: int = 0
    """Videos that were written: they are valid, have labels, and have an id that no earlier record has."""
    frames: int = 0
    labels: int = 0
    check: FileCheck | None = None
    """What the input file holds, whatever was written of it."""
    duplicates: int = 0
    """Videos that were left out, because an earlier record has their id."""
    copy_of: str | None = None
    """The file that this one is a copy of."""
    distribution: Distribution | None = None
    """Sums over the videos with labels; they are not part of the document."""
    examples: DataFile | None = None
    """Where the examples are, and which of them are used."""
    summaries: DataFile | None = None
    """Likewise for the summaries."""
    rejects_path: str | None = None
    """File with one JSON line for each reject; None where there is no reject."""
    error: str | None = None
    """The message of a UserError; where there is one, nothing else counts."""

    def document(self) -> dict[str, Any]:
        """Returns the result as plain JSON values, without the rows of the check and the distribution."""
        values = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "distribution"
        }
        files = {name: values[name] and asdict(values[name]) for name in ("examples", "summaries")}
        return values | files | {"check": self.check and self.check.document()}

    @classmethod
    def of_document(cls, values: dict[str, Any]) -> "ShardResult":
        """Makes a result of what `document` returned."""
        check = values["check"]
        files = {
            name: values[name] and DataFile(**values[name] | {"skipped": tuple(values[name]["skipped"])})
            for name in ("examples", "summaries")
        }
        return cls(**(values | files | {"check": check and FileCheck.of_document(check)}))


def convert_shard(task: ShardTask, originals: Mapping[int, str] | None = None) -> ShardResult:
    """Checks one input file, or takes the check that is kept of it, and says which of its videos are used.

    Videos without labels are left out. Where files are copied, their shards are written under another name and renamed
    when they are whole. Beam runners may do this again, or twice at once: the bytes and the names are the same.

    Args:
        task: The input file, and where its shards go.
        originals: Videos to leave out, because they stood in an earlier record: their place among the valid videos of
            the file, and the file where they stood first.

    Raises:
        UserError: The input file is gone or may not be read.
    """
    originals = originals or {}
    kept = checked(task.path, task.num_classes, task.checks_uri)
    check = kept.check
    used = check.rows["labels"] > 0
    used[list(originals)] = False
    rows = check.rows[used]
    result = ShardResult(
        split=task.split,
        index=task.index,
        videos=len(rows),
        frames=int(rows["frames"].sum(dtype=np.int64)),
        labels=int(rows["labels"].sum(dtype=np.int64)),
        check=check,
        duplicates=len(originals),
        distribution=kept.distribution,
        examples=kept.data_file(used, task.span),
        summaries=kept.summary_file(used, task.span),
    )
    make_dirs(task.staging_uri)
    if task.copy:
        _write_shard(task, task.examples_uri, map(_canonical, _records(result.examples)))
        _write_shard(task, task.summaries_uri, _records(result.summaries))
    rejects_path = posixpath.join(task.staging_uri, f"rejects-{task.split}-{task.index:05d}.jsonl")
    with _Rejects(rejects_path) as rejects:
        rejects.write_lines(kept.rejects)
        offsets = check.rows["offset"][sorted(originals)]
        files = [originals[place] for place in sorted(originals)]
        labelled = check.videos - check.unlabelled
        result.copy_of = copied_file(task.path, labelled, files)
        for reject in duplicate_rejects(task.path, labelled, offsets, files):
            rejects.write(reject)
        if check.unlabelled:
            first = check.rows[check.rows["labels"] == 0]["offset"][0]
            detail = f"{check.unlabelled} videos have no labels, this is the first"
            rejects.write(Reject(task.path, int(first), NO_LABELS, detail, check.unlabelled))
    result.rejects_path = rejects_path if rejects.written else None
    return result


def _records(file: DataFile) -> Iterator[bytes]:
    return (item.data for item in used_records(file) if isinstance(item, Record))


def _canonical(record: bytes) -> bytes:
    return parse_video(record, ANY_CLASSES).sequence_example


def _write_shard(task: ShardTask, uri: str, records: Iterable[bytes]) -> None:
    with _staged(task, uri) as file:
        for record in records:
            write_record(file, record)


@contextmanager
def _staged(task: ShardTask, uri: str) -> Iterator[Any]:
    """Opens a file to write, which appears in the split's directory when the block ends without an error."""
    directory = posixpath.join(uri, f"Split-{task.split}")
    name = f"data_tfrecord-{task.index:05d}-of-{task.count:05d}"
    temporary = posixpath.join(task.staging_uri, f"{name}-{uuid.uuid4().hex}")
    make_dirs(directory)
    with open_file(temporary, "wb") as file:
        yield file
    rename(temporary, posixpath.join(directory, name))


class _Rejects:
    """A JSON lines file that is made when its first line is written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Any = None

    @property
    def written(self) -> bool:
        """Whether there is a line in it."""
        return self._file is not None

    def __enter__(self) -> "_Rejects":
        return self

    def write(self, reject: Reject) -> None:
        self.write_lines((json.dumps(asdict(reject)) + "\n").encode())

    def write_lines(self, lines: bytes) -> None:
        if not lines:
            return
        if self._file is None:
            self._file = open_file(self._path, "wb")
        self._file.write(lines)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
