"""Whether some data files together are fit for a run: what is lost, and which videos stand in them twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from trainer.data.duplicates import DUPLICATE_ID, copied_file, duplicate_rejects
from trainer.data.file_check import REJECTS_SHOWN, VIDEO, FileCheck, check_file
from trainer.data.losses import Loss, estimate_losses, rejected_with
from trainer.data.records import Reject
from trainer.data.video_ids import UNSEEN, SeenIds
from trainer.data.yt8m import NUM_CLASSES


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What was found in all files."""

    files: int
    videos: int
    """Valid videos with different ids, those without labels included."""
    unlabelled: int
    """Of these, the ones without a label."""
    frames: int
    labels: int
    editions: Mapping[str, int]
    """Valid records by edition of the data set."""
    rejected: Mapping[str, int]
    """Lost videos by reason, with what lost and cut files held by estimate."""
    first_rejects: Mapping[str, Sequence[Reject]]
    """The first `REJECTS_SHOWN` of each reason."""
    losses: Sequence[Loss]
    """Files that are lost or cut."""
    copies: Mapping[str, str]
    """Files all of whose videos stand in earlier files, each with the file where the first one does."""

    @property
    def share(self) -> float:
        """Lost videos of all videos, 0 to 1."""
        lost = sum(self.rejected.values())
        return lost / max(1, lost + self.videos)


def check_files(paths: Sequence[str], num_classes: int = NUM_CLASSES, jobs: int = 1) -> Iterator[FileCheck]:
    """One check a file, in the order of `paths`, from `jobs` processes."""
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield check_file(path, num_classes)
        return
    # Spawned, not forked: for gs:// paths this process has started TensorFlow's threads.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(check_file, paths, [num_classes] * len(paths))


def together(checks: Iterable[FileCheck]) -> DataCheck:
    """What files add up to. Of records with the same id the first one counts, in the order of the files."""
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
    losses = estimate_losses(kept)
    rejected = rejected_with(losses, kept)
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
        losses=losses,
        copies=copies,
    )
