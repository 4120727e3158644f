"""Converting one input file to one shard of examples, one shard of summaries, and a list of rejects."""

import json
import posixpath
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainer.base.files import make_dirs, open_file, rename
from trainer.data.duplicates import copied_file, duplicate_rejects
from trainer.data.encoding import summary_example
from trainer.data.file_check import FileCheck, FileCounter
from trainer.data.records import Reject, read_videos
from trainer.data.tfrecord import write_record

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
    num_classes: int


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
    rejects_path: str | None = None
    """File with one JSON line for each reject; None where there is no reject."""
    error: str | None = None
    """The message of a UserError; where there is one, nothing else counts."""

    def document(self) -> dict[str, Any]:
        """Returns the result as plain JSON values, without the rows of the check."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"check": self.check and self.check.document()}

    @classmethod
    def of_document(cls, values: dict[str, Any]) -> "ShardResult":
        """Makes a result of what `document` returned."""
        check = values["check"]
        return cls(**(values | {"check": check and FileCheck.of_document(check)}))


def convert_shard(task: ShardTask, originals: Mapping[int, str] | None = None) -> ShardResult:
    """Writes the shards of one input file, in the order of its records. Videos without labels are left out.

    A shard is written under another name and renamed when it is whole. Beam runners may do this again, or twice at
    once: the bytes and the names are the same.

    Args:
        task: The input file, and where its shards go.
        originals: Videos to leave out, because they stood in an earlier record: their place among the valid videos of
            the file, and the file where they stood first.

    Raises:
        UserError: The input file is gone or may not be read.
    """
    originals = originals or {}
    result = ShardResult(split=task.split, index=task.index, duplicates=len(originals))
    counter = FileCounter(task.path)
    rejects_path = posixpath.join(task.staging_uri, f"rejects-{task.split}-{task.index:05d}.jsonl")
    make_dirs(task.staging_uri)
    with (
        _staged(task, task.examples_uri) as examples,
        _staged(task, task.summaries_uri) as summaries,
        _Rejects(rejects_path) as rejects,
    ):
        place = 0
        for item in read_videos(task.path, task.num_classes):
            counter.add(item)
            if isinstance(item, Reject):
                rejects.write(item)
                continue
            if item.labels and place not in originals:
                write_record(examples, item.sequence_example)
                write_record(summaries, summary_example(item.id, item.labels, item.num_frames))
                result.videos += 1
                result.frames += item.num_frames
                result.labels += len(item.labels)
            place += 1
        result.check = check = counter.finish()
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
        if self._file is None:
            self._file = open_file(self._path, "wb")
        self._file.write((json.dumps(asdict(reject)) + "\n").encode())

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
