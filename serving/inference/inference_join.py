"""From the parts of an inference to its one output, in which each video stands once."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serving.inference.inference_parts import InferenceParts
from serving.inference.predictions_file import join_parts, read_ids
from trainer.base.errors import UserError
from trainer.base.files import open_file, remove_file, remove_tree
from trainer.data.duplicates import DUPLICATE_ID, copied_file, duplicate_rejects
from trainer.data.file_check import FileCheck, FileCounter
from trainer.data.losses import Loss, estimate_losses, rejected_with
from trainer.data.records import Reject
from trainer.data.video_ids import UNSEEN, SeenIds, digests


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What stands in the output, and what does not.

    Attributes:
        videos: In the output.
        rejected: Left out, by reason; what lost and cut files held is estimated.
        rejects_file: One JSON object a line for each of them; None when there is none.
        losses: Files that are lost or cut.
        copies: Files all of whose videos stand in earlier files, each with the file where the first one does.
    """

    videos: int
    rejected: Mapping[str, int]
    rejects_file: str | None
    losses: Sequence[Loss]
    copies: Mapping[str, str]


def join(parts: InferenceParts) -> Joined:
    """Writes the output, and the rejects to `OUT.rejects.jsonl`; removes the parts, all of which are made.

    Of records with the same id the first one counts, in the order of the files: a submission may name a video only
    once. Ids take 20 bytes of memory each, and as much again for a moment.

    Raises:
        UserError: If there is no valid video.
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
    losses = estimate_losses(checks)
    rejected = rejected_with(losses, checks)
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
        losses=losses,
        copies=copies,
    )


def _check(path: str, size: int, invalid: Sequence[Reject], videos: int) -> FileCheck:
    counter = FileCounter(path, size)
    for reject in invalid:
        counter.add(reject)
    return replace(counter.finish(), videos=videos)


def _write_rejects(rejects: Sequence[Reject], target: str) -> str | None:
    # One of an earlier output must not be taken for this one's.
    remove_file(target)
    if not rejects:
        return None
    with open_file(target, "wb") as file:
        file.write(b"".join(json.dumps(dataclasses.asdict(reject)).encode() + b"\n" for reject in rejects))
    return target
