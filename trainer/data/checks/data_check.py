"""The check of all data files of a run together: what is lost, and which videos stand in them twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from trainer.data.checks.duplicates import DUPLICATE_ID, copied_file, duplicate_rejects
from trainer.data.checks.file_check import REJECTS_SHOWN, VIDEO, FileCheck, check_file
from trainer.data.checks.lost_files import LostFile, estimate_lost_files, rejected_with
from trainer.data.records import Reject
from trainer.data.video_ids import UNSEEN, SeenIds
from trainer.data.yt8m import NUM_CLASSES


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """The result of the check of all files together."""

    files: int
    videos: int
    """Valid videos with different ids, those without labels included."""
    unlabelled: int
    """Number of those videos that have no label."""
    frames: int
    labels: int
    editions: Mapping[str, int]
    """Valid records by edition of the data set."""
    rejected: Mapping[str, int]
    """Number of lost videos by reason, with the estimated content of lost and cut files."""
    first_rejects: Mapping[str, Sequence[Reject]]
    """The first `REJECTS_SHOWN` of each reason."""
    lost_files: Sequence[LostFile]
    """Files that are lost or cut."""
    copies: Mapping[str, str]
    """Path of the original by the path of its copy. A copy is a file all of whose videos stand in earlier files."""

    @property
    def share(self) -> float:
        """Share of all videos that are lost, 0 to 1."""
        lost = sum(self.rejected.values())
        return lost / max(1, lost + self.videos)


def check_files(paths: Sequence[str], num_classes: int = NUM_CLASSES, jobs: int = 1) -> Iterator[FileCheck]:
    """Checks files, several at once.

    Args:
        paths: TFRecord files, plain or gzip, local or in a bucket.
        num_classes: See `read_videos`.
        jobs: Number of processes.

    Yields:
        The check of each file, in the order of `paths`.

    Raises:
        UserError: There is no such file.
    """
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield check_file(path, num_classes)
        return
    # Spawned, not forked: for gs:// paths this process has started TensorFlow's threads.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(check_file, paths, [num_classes] * len(paths))


def together(checks: Iterable[FileCheck]) -> DataCheck:
    """Joins the checks of files. Of several records with the same id the first one in the order of the files counts."""
    seen, kept = SeenIds(), []
    totals, editions, duplicates = Counter(), Counter(), 0
    first: dict[str, list[Reject]] = {}
    copies: dict[str, str] = {}
    for check in checks:
        earlier = seen.add(len(kept), check.rows["id"])
        kept.append(replace(check, rows=np.empty(0, VIDEO)))
        rows, repeated = check.rows[earlier == UNSEEN], check.rows[earlier != UNSEEN]
        totals.update(
            videos=len(rows),
            unlabelled=int(np.count_nonzero(rows["labels"] == 0)),
            frames=int(rows["frames"].sum(dtype=np.int64)),
            labels=int(rows["labels"].sum(dtype=np.int64)),
        )
        editions.update(check.editions)
        duplicates += len(repeated)
        originals = [kept[file].path for file in earlier[earlier != UNSEEN]]
        if original := copied_file(check.path, check.videos, originals):
            copies[check.path] = original
        for reject in (
            *check.first_rejects,
            *duplicate_rejects(check.path, check.videos, repeated["offset"], originals),
        ):
            shown = first.setdefault(reject.reason, [])
            if len(shown) < REJECTS_SHOWN:
                shown.append(reject)
    lost_files = estimate_lost_files(kept)
    rejected = rejected_with(lost_files, kept)
    if duplicates:
        rejected[DUPLICATE_ID] += duplicates
    return DataCheck(
        files=len(kept),
        videos=totals["videos"],
        unlabelled=totals["unlabelled"],
        frames=totals["frames"],
        labels=totals["labels"],
        editions=dict(sorted(editions.items())),
        rejected=dict(sorted(rejected.items())),
        first_rejects=first,
        lost_files=lost_files,
        copies=copies,
    )
