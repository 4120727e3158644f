"""What all shards gave together, and whether too much of it was rejected."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from components.example_gen.convert import ShardResult
from trainer.errors import UserError

_REASONS_SHOWN = 3
_SPLITS = ("train", "eval", "holdout")


def summarise(results: Iterable[ShardResult], span: int) -> dict[str, Any]:
    """The report of ExampleGen.

    Returns:
        {span, splits: {name: {files, videos, frames, labels}}, rejected: {reason: lost videos},
        rejected_videos, share}, with share = rejected videos / (videos + rejected videos).
    """
    splits: dict[str, Counter[str]] = {}
    rejected: Counter[str] = Counter()
    for result in results:
        counts = splits.setdefault(result.split, Counter())
        counts.update(files=1, videos=result.videos, frames=result.frames, labels=result.labels)
        rejected.update(result.rejected)
    videos = sum(counts["videos"] for counts in splits.values())
    return {
        "span": span,
        "splits": {name: dict(splits[name]) for name in _SPLITS if name in splits},
        "rejected": dict(sorted(rejected.items())),
        "rejected_videos": rejected.total(),
        "share": rejected.total() / max(1, videos + rejected.total()),
    }


def check_report(report: dict[str, Any], max_reject_share: float, rejects_path: str) -> None:
    """Raises UserError when too many videos were rejected, or when a split has none left."""
    lost, share = report["rejected_videos"], report["share"]
    if share > max_reject_share:
        reasons = sorted(report["rejected"].items(), key=lambda item: (-item[1], item[0]))
        top = ", ".join(f"{count:,} {reason}" for reason, count in reasons[:_REASONS_SHOWN])
        raise UserError(
            f"{lost:,} of {lost + _videos(report):,} videos ({share:.2%}) cannot be used, more than the "
            f"{max_reject_share:.2%} allowed ({top}); files and offsets are in {rejects_path}: mend or "
            "remove those files, or raise data.max_reject_share"
        )
    for name, counts in report["splits"].items():
        if not counts["videos"]:
            raise UserError(
                f"the {counts['files']} file(s) of the {name} split have no valid video; check the data"
            )


def _videos(report: dict[str, Any]) -> int:
    return sum(counts["videos"] for counts in report["splits"].values())
