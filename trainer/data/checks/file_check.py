"""The check of one data file, which is read once. Its result holds as long as the file stays the same."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from trainer.base.files import file_kind, file_size
from trainer.data.record_parts import Parts
from trainer.data.records import Reject, Video, read_videos
from trainer.data.video_ids import DIGEST, digest
from trainer.data.yt8m import NUM_CLASSES

REJECTS_SHOWN = 3
"""Rejects that are kept of each reason; all are counted."""

VIDEO = np.dtype([("id", DIGEST), ("offset", "<i8"), ("frames", "<u2"), ("labels", "<u2")])
"""A valid video: the hash of its id, where its record begins, and how many frames and labels it has."""


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """The result of the check of a file. It does not depend on other files, so it may be kept and used again."""

    path: str
    bytes: int
    """Size of the file as it is stored, compressed or not."""
    videos: int = 0
    """Valid videos, those without labels included."""
    unlabelled: int = 0
    """Number of those videos that have no label, as in test files."""
    frames: int = 0
    labels: int = 0
    editions: Mapping[str, int] = field(default_factory=dict)
    """Valid records by edition: see `trainer.data.record_parts.Edition`."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Number of lost videos by reason, as far as the file itself tells (see `Reject.reason`)."""
    first_rejects: tuple[Reject, ...] = ()
    """The first `REJECTS_SHOWN` of each reason."""
    damage: Reject | None = None
    """The reject that may stand for more videos than it says, since the file ends early; None in a whole file."""
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, VIDEO), repr=False, compare=False)
    """The valid videos, an array of `VIDEO`, in the order of the file."""

    @property
    def records(self) -> int:
        """Records that could be counted, valid or not."""
        unknown = self.damage.lost_records if self.damage else 0
        return self.videos + sum(self.rejected.values()) - unknown

    @property
    def is_lost(self) -> bool:
        """Whether no record at all could be read, nor even counted: an empty file, an error page."""
        return self.damage is not None and not self.records

    @property
    def kind(self) -> str:
        """`train`, `validate`, `test`, or nothing, by the name of the file."""
        return file_kind(self.path)

    def document(self) -> dict[str, Any]:
        """Returns all attributes but `rows` as plain JSON values."""
        return asdict(replace(self, rows=np.empty(0, VIDEO))) | {"rows": None}

    @classmethod
    def of_document(cls, values: Mapping[str, Any], rows: np.ndarray | None = None) -> "FileCheck":
        """Makes a check from what `document` returned, with `rows` from elsewhere."""
        damage = values["damage"]
        return cls(
            **{
                **values,
                "first_rejects": tuple(Reject(**reject) for reject in values["first_rejects"]),
                "damage": damage and Reject(**damage),
                "rows": np.empty(0, VIDEO) if rows is None else rows,
            }
        )


class FileCounter:
    """Counts what `read_videos` yields for one file.

    Args:
        path: Path of the file.
        size: Size of the file in bytes; None to look it up.
    """

    def __init__(self, path: str, size: int | None = None) -> None:
        self._path = path
        self._size = size
        self._rows: list[tuple[bytes, int, int, int]] = []
        self._editions: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._first: dict[str, list[Reject]] = {}
        self._damage: Reject | None = None

    def add(self, item: Video | Reject) -> None:
        """Counts a video or a reject."""
        if isinstance(item, Video):
            self.add_video(item, item.offset)
            return
        self._rejected[item.reason] += item.lost_records
        shown = self._first.setdefault(item.reason, [])
        if len(shown) < REJECTS_SHOWN:
            shown.append(item)
        if item.at_least:
            self._damage = item

    def add_video(self, video: Video | Parts, offset: int) -> None:
        """Counts a video that stands at a place of the file."""
        self._rows.append((digest(video.id), offset, video.num_frames, len(video.labels)))
        self._editions[str(video.edition)] += 1

    def finish(self) -> FileCheck:
        """Returns the check of all that was added."""
        rows = np.array(self._rows, VIDEO)
        return FileCheck(
            path=self._path,
            bytes=file_size(self._path) if self._size is None else self._size,
            videos=len(rows),
            unlabelled=int(np.count_nonzero(rows["labels"] == 0)),
            frames=int(rows["frames"].sum(dtype=np.int64)),
            labels=int(rows["labels"].sum(dtype=np.int64)),
            editions=dict(sorted(self._editions.items())),
            rejected=dict(sorted(self._rejected.items())),
            first_rejects=tuple(reject for rejects in self._first.values() for reject in rejects),
            damage=self._damage,
            rows=rows,
        )


def check_file(path: str, num_classes: int = NUM_CLASSES) -> FileCheck:
    """Reads one file to its end.

    Args:
        path: TFRecord file, plain or gzip, local or in a bucket.
        num_classes: See `read_videos`.

    Raises:
        UserError: There is no such file.
    """
    counter = FileCounter(path)
    for item in read_videos(path, num_classes):
        counter.add(item)
    return counter.finish()
