"""Joins the parts of an inference into its output, in which each video stands once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from serving.inference.inference_parts import InferenceParts, reject_lines
from serving.inference.predictions_file import join_parts, read_ids
from trainer.base.errors import UserError
from trainer.base.files import remove_file, remove_tree
from trainer.base.whole import whole_file
from trainer.data.checks.duplicates import DUPLICATE_ID, copied_file, duplicate_rejects
from trainer.data.checks.file_check import FileCheck, FileCounter
from trainer.data.checks.lost_files import LostFile, estimate_lost_files, rejected_with
from trainer.data.records import Reject
from trainer.data.video_ids import UNSEEN, SeenIds, digests


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The content of an output, and what was left out of it.

    Attributes:
        videos: Number of videos in the output.
        rejected: Number of videos that were left out, by reason. What lost and cut files held is estimated.
        rejects_file: Path of a file with a line of JSON for each record that was left out; None when none was.
        lost_files: The files that are lost or cut.
        copies: Path of the original by the path of its copy, a file all of whose videos stand in earlier files.
    """

    videos: int
    rejected: Mapping[str, int]
    rejects_file: str | None
    lost_files: Sequence[LostFile]
    copies: Mapping[str, str]


def join(parts: InferenceParts) -> Joined:
    """Writes the output, and the rejects to `OUT.rejects.jsonl`, and removes the parts.

    Where several records have the same id, the first one in the order of the files counts: a submission may name a
    video only once. An id takes 20 bytes of memory, and as much again for a moment.

    Args:
        parts: The parts, all of which are made.

    Raises:
        UserError: There is no valid video.
    """
    if not parts.videos():
        remove_tree(parts.directory)
        raise UserError(
            f"there is no valid video in {len(parts.files)} files, {parts.files[0]} ...: see yt8m data check"
        )
    seen = SeenIds()
    kept: list[np.ndarray] = []
    checks: list[FileCheck] = []
    rejects: list[Reject] = []
    copies: dict[str, str] = {}
    for index, (path, part) in enumerate(zip(parts.files, parts.paths, strict=True)):
        ids, offsets = read_ids(part)
        earlier = seen.add(index, digests(ids))
        kept.append(earlier == UNSEEN)
        invalid = parts.rejects(index)
        checks.append(_check(path, parts.sizes[index], invalid, len(ids)))
        repeated = np.flatnonzero(earlier != UNSEEN)
        originals = [parts.files[file] for file in earlier[repeated]]
        if original := copied_file(path, len(ids), originals):
            copies[path] = original
        rejects += invalid
        rejects += duplicate_rejects(path, len(ids), [offsets[place] for place in repeated], originals)
    lost_files = estimate_lost_files(checks)
    rejected = rejected_with(lost_files, checks)
    videos = sum(int(np.count_nonzero(mask)) for mask in kept)
    if duplicates := sum(map(len, kept)) - videos:
        rejected[DUPLICATE_ID] += duplicates
    join_parts(parts.paths, kept, parts.out)
    rejects_file = _write_rejects(rejects, f"{parts.out}.rejects.jsonl")
    remove_tree(parts.directory)
    return Joined(
        videos=videos,
        rejected=dict(sorted(rejected.items())),
        rejects_file=rejects_file,
        lost_files=lost_files,
        copies=copies,
    )


def _check(path: str, size: int, invalid: Sequence[Reject], videos: int) -> FileCheck:
    counter = FileCounter(path, size)
    for reject in invalid:
        counter.add(reject)
    return replace(counter.finish(), videos=videos)


def _write_rejects(rejects: Sequence[Reject], target: str) -> str | None:
    # The rejects of an earlier output must not be taken for those of this one.
    remove_file(target)
    if not rejects:
        return None
    with whole_file(target) as unfinished:
        Path(unfinished).write_bytes(reject_lines(rejects))
    return target
