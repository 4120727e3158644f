"""Whether data files are valid, without making anything of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from trainer.records import Reject, Video, read_videos
from trainer.yt8m import NUM_CLASSES

REJECTS_SHOWN = 3
"""Rejects that are kept of each reason; all are counted."""


@dataclass(kw_only=True)
class Check:
    """What was found in some files. Two checks of different files add up with `+`."""

    files: int = 0
    videos: int = 0
    unlabelled: int = 0
    """Videos without a label, as in test files."""
    frames: int = 0
    labels: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Lost videos by reason."""
    first_rejects: dict[str, list[Reject]] = field(default_factory=dict)
    """The first `REJECTS_SHOWN` of each reason."""

    def __add__(self, other: "Check") -> "Check":
        first = {
            reason: [*self.first_rejects.get(reason, []), *other.first_rejects.get(reason, [])][
                :REJECTS_SHOWN
            ]
            for reason in sorted({*self.first_rejects, *other.first_rejects})
        }
        return Check(
            files=self.files + other.files,
            videos=self.videos + other.videos,
            unlabelled=self.unlabelled + other.unlabelled,
            frames=self.frames + other.frames,
            labels=self.labels + other.labels,
            rejected=self.rejected + other.rejected,
            first_rejects=first,
        )

    @property
    def share(self) -> float:
        """Rejected videos of all videos, 0 to 1."""
        lost = self.rejected.total()
        return lost / max(1, lost + self.videos)


def check_file(path: str, num_classes: int = NUM_CLASSES) -> Check:
    """Reads one file to its end.

    Raises:
        UserError: There is no such file.
    """
    return count(read_videos(path, num_classes))


def count(items: Iterable[Video | Reject]) -> Check:
    """What the items of one file add up to."""
    check = Check(files=1)
    for item in items:
        if isinstance(item, Video):
            check.videos += 1
            check.unlabelled += not item.labels
            check.frames += item.num_frames
            check.labels += len(item.labels)
        else:
            check.rejected[item.reason] += item.lost_records
            shown = check.first_rejects.setdefault(item.reason, [])
            if len(shown) < REJECTS_SHOWN:
                shown.append(item)
    return check


def check_files(paths: Sequence[str], num_classes: int = NUM_CLASSES, jobs: int = 1) -> Iterator[Check]:
    """One check a file, in the order of `paths`, from `jobs` processes."""
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield check_file(path, num_classes)
        return
    # Spawned, not forked: for gs:// paths this process has started TensorFlow's threads.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(check_file, paths, [num_classes] * len(paths))
