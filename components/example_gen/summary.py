"""Adding up what became of all input files, and checking that it is fit to train and to evaluate on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.example_gen.convert import ShardResult
from components.example_gen.report import ExampleGenReport, SplitCounts
from trainer.base.errors import UserError
from trainer.data.checks.duplicates import DUPLICATE_ID
from trainer.data.checks.lost_files import DataLimits, complaint, estimate_lost_files, rejected_with

_SPLITS = ("train", "eval", "holdout")
_TRAINED_ON = "train"


@dataclass(frozen=True, kw_only=True)
class SplitLimits(DataLimits):
    """How much may be lost of the data of a run, and how much must be there.

    Attributes:
        min_eval_videos: Least number of videos of each split that is not trained on.
    """

    min_eval_videos: int = 1


def summarise(
    results: Iterable[ShardResult], span: int, left_out_files: Sequence[str] = ()
) -> ExampleGenReport:
    """Adds up what became of all input files.

    Args:
        results: One result for each input file.
        span: The span that was read; 0 where the patterns have none.
        left_out_files: Files named test* that the patterns matched and that were not read.

    Returns:
        The report. Its `share` is rejected videos / (videos + rejected videos). Videos without labels are left out of
        the splits' `videos` and are no rejects. What lost and cut files held is estimated.
    """
    results = list(results)
    checks = [result.check for result in results if result.check]
    losses = estimate_lost_files(checks)
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
    return ExampleGenReport(
        span=span,
        splits={name: SplitCounts(**splits[name]) for name in _SPLITS if name in splits},
        rejected=dict(sorted(rejected.items())),
        rejected_videos=rejected.total(),
        share=rejected.total() / max(1, videos + rejected.total()),
        unlabelled_videos=sum(counts["unlabelled"] for counts in splits.values()),
        editions=dict(sorted(editions.items())),
        losses=tuple(losses),
        copies={result.check.path: result.copy_of for result in results if result.check and result.copy_of},
        left_out_files=tuple(left_out_files),
    )


def check_report(report: ExampleGenReport, limits: SplitLimits, rejects_path: str) -> None:
    """Checks that the data is fit to train and to evaluate on.

    Args:
        report: What `summarise` returned.
        limits: How much may be lost, and how many videos a split must have.
        rejects_path: File that names all rejects; the error message refers to it.

    Raises:
        UserError: If too much is lost, or a split has too few videos.
    """
    wrong = complaint(
        report.videos,
        report.rejected,
        report.losses,
        report.copies,
        limits,
        lambda name: f"data.{name}",
        f"files and offsets are in {rejects_path}",
    )
    if wrong:
        raise UserError(wrong)
    for name, counts in report.splits.items():
        _check_split(name, counts, 1 if name == _TRAINED_ON else limits.min_eval_videos)


def _check_split(name: str, counts: SplitCounts, least: int) -> None:
    videos, unlabelled = counts.videos, counts.unlabelled
    without = f"; {unlabelled:,} videos of it have no labels" if unlabelled else ""
    if not videos:
        raise UserError(
            f"the {counts.files} file(s) of the {name} split have no valid video with labels{without}; check the "
            "data, and leave files without labels (test*) out of the patterns"
        )
    if videos < least:
        raise UserError(
            f"the {name} split has {videos:,} videos with labels in {counts.files} file(s), fewer than the "
            f"{least:,} of data.min_eval_videos{without}; give more validate files, or raise data.eval_share"
        )
