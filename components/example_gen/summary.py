"""What all shards gave together, and whether it is fit to train and to evaluate on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.example_gen.convert import ShardResult
from trainer.base.errors import UserError
from trainer.data.duplicates import DUPLICATE_ID
from trainer.data.losses import DataLimits, Loss, complaint, estimate_losses, rejected_with

_SPLITS = ("train", "eval", "holdout")
_TRAINED_ON = "train"


@dataclass(frozen=True, kw_only=True)
class SplitLimits(DataLimits):
    """What the data of a run must be like.

    Attributes:
        min_eval_videos: Least videos of each split that is not trained on.
    """

    min_eval_videos: int = 1


def summarise(
    results: Iterable[ShardResult], span: int, left_out_files: Sequence[str] = ()
) -> dict[str, Any]:
    """The report of ExampleGen.

    Returns:
        {span, splits: {name: {files, videos, frames, labels, unlabelled}}, rejected: {reason: lost videos},
        rejected_videos, share, unlabelled_videos, editions: {edition: videos}, losses: [{file, reason, detail,
        videos, whole}] of lost and cut files, copies: {file: the file it is a copy of}, left_out_files: [test files]},
        with share = rejected videos / (videos + rejected videos). Videos without labels are left out of the splits'
        `videos` and are no rejects. What lost and cut files held is estimated.
    """
    results = list(results)
    checks = [result.check for result in results if result.check]
    losses = estimate_losses(checks)
    rejected = rejected_with(losses, checks)
    splits: dict[str, Counter[str]] = {}
    editions: Counter[str] = Counter()
    for result in results:
        counts = splits.setdefault(result.split, Counter())
        counts.update(files=1, videos=result.videos, frames=result.frames, labels=result.labels)
        counts.update(unlabelled=result.check.unlabelled if result.check else 0)
        editions.update(result.check.editions if result.check else {})
        if result.duplicates:
            rejected[DUPLICATE_ID] += result.duplicates
    videos = sum(counts["videos"] for counts in splits.values())
    return {
        "span": span,
        "splits": {name: dict(splits[name]) for name in _SPLITS if name in splits},
        "rejected": dict(sorted(rejected.items())),
        "rejected_videos": rejected.total(),
        "share": rejected.total() / max(1, videos + rejected.total()),
        "unlabelled_videos": sum(counts["unlabelled"] for counts in splits.values()),
        "editions": dict(sorted(editions.items())),
        "losses": [asdict(loss) for loss in losses],
        "copies": {
            result.check.path: result.copy_of for result in results if result.check and result.copy_of
        },
        "left_out_files": list(left_out_files),
    }


def check_report(report: dict[str, Any], limits: SplitLimits, rejects_path: str) -> None:
    """Raises UserError where too much is lost, or where a split is not what a run needs."""
    wrong = complaint(
        sum(counts["videos"] for counts in report["splits"].values()),
        report["rejected"],
        [Loss(**loss) for loss in report["losses"]],
        report["copies"],
        limits,
        lambda name: f"data.{name}",
        f"files and offsets are in {rejects_path}",
    )
    if wrong:
        raise UserError(wrong)
    for name, counts in report["splits"].items():
        _check_split(name, counts, 1 if name == _TRAINED_ON else limits.min_eval_videos)


def _check_split(name: str, counts: dict[str, int], least: int) -> None:
    videos, unlabelled = counts["videos"], counts["unlabelled"]
    without = f"; {unlabelled:,} videos of it have no labels" if unlabelled else ""
    if not videos:
        raise UserError(
            f"the {counts['files']} file(s) of the {name} split have no valid video with labels{without}; check the "
            "data, and leave files without labels (test*) out of the patterns"
        )
    if videos < least:
        raise UserError(
            f"the {name} split has {videos:,} videos with labels in {counts['files']} file(s), fewer than the "
            f"{least:,} of data.min_eval_videos{without}; give more validate files, or raise data.eval_share"
        )
