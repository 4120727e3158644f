"""One input file to one shard of examples, one of summaries, and its rejects."""

import json
import posixpath
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.encoding import summary_example
from trainer.files import make_dirs, open_file, rename
from trainer.records import Reject, Video, read_videos
from trainer.tfrecord import write_record


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """What is made of one input file."""

    path: str
    split: str
    index: int
    """Of this shard among the `count` of its split."""
    count: int
    examples_uri: str
    """Of the artifact; shards lie in its `Split-<split>`, as TFX has it."""
    summaries_uri: str
    staging_uri: str
    """Directory for files that are not whole yet, and for the rejects of each shard."""
    num_classes: int


@dataclass(kw_only=True)
class ShardResult:
    """What became of one input file."""

    split: str
    index: int
    videos: int = 0
    frames: int = 0
    labels: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Lost videos by reason."""
    rejects_path: str | None = None
    """JSON lines, one a reject; None without any."""
    error: str | None = None
    """The message of a UserError; nothing else counts then."""


def convert_shard(task: ShardTask) -> ShardResult:
    """Writes the shards of one input file, in the order of its records.

    A shard is written under another name and renamed when it is whole. Done again, or twice at once, as Beam
    runners may, it gives the same bytes under the same names.

    Raises:
        UserError: The input file is gone or may not be read.
    """
    result = ShardResult(split=task.split, index=task.index)
    rejected: Counter[str] = Counter()
    rejects_path = posixpath.join(task.staging_uri, f"rejects-{task.split}-{task.index:05d}.jsonl")
    make_dirs(task.staging_uri)
    with (
        _staged(task, task.examples_uri) as examples,
        _staged(task, task.summaries_uri) as summaries,
        _Rejects(rejects_path) as rejects,
    ):
        for item in read_videos(task.path, task.num_classes):
            if isinstance(item, Video):
                write_record(examples, item.sequence_example)
                write_record(summaries, summary_example(item.id, item.labels, item.num_frames))
                result.videos += 1
                result.frames += item.num_frames
                result.labels += len(item.labels)
            else:
                rejects.write(item)
                rejected[item.reason] += item.lost_records
    result.rejected = dict(sorted(rejected.items()))
    result.rejects_path = rejects_path if rejected else None
    return result


@contextmanager
def _staged(task: ShardTask, uri: str) -> Iterator[Any]:
    """A file to write, which appears in the split's directory when the block ends without an error."""
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

    def __enter__(self) -> "_Rejects":
        return self

    def write(self, reject: Reject) -> None:
        if self._file is None:
            self._file = open_file(self._path, "wb")
        self._file.write((json.dumps(asdict(reject)) + "\n").encode())

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
