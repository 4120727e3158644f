"""What lost and cut files held, estimated from the other files, and when that is too much.

A file of no bytes, an error page in place of a file, or a file cut in half does not tell how many videos are missing.
The shards of a data set are about equally large, so such a file is taken to have held as many records as the whole
files of its kind (train, validate, test) hold on average, or all whole files where its kind has none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainer.data.file_check import FileCheck

_FILES_NAMED, _REASONS_NAMED = 5, 3


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A file that is lost, or cut."""

    file: str
    reason: str
    """See `trainer.data.tfrecord.Damage`."""
    detail: str
    videos: int
    """That it held beside those that were read, by estimate; at least 1."""
    whole: bool
    """Whether no record of it could be read."""


@dataclass(frozen=True, kw_only=True)
class DataLimits:
    """How much may be wrong with data files before a run stops.

    Attributes:
        max_reject_share: Largest share of all videos that may be lost, 0 to 1.
        max_lost_files: Most files of which no record can be read.
    """

    max_reject_share: float = 0.01
    max_lost_files: int = 0


def estimate_losses(checks: Iterable[FileCheck]) -> list[Loss]:
    """The lost and cut files among some, in their order."""
    checks = list(checks)
    whole = [check for check in checks if check.damage is None]
    means = {kind: _mean_records([check for check in whole if check.kind == kind]) for kind in _kinds(checks)}
    overall = _mean_records(whole)
    losses = []
    for check in checks:
        if damage := check.damage:
            held = means[check.kind] or overall
            losses.append(
                Loss(
                    file=check.path,
                    reason=damage.reason,
                    detail=damage.detail,
                    videos=max(damage.lost_records, round(held) - check.records),
                    whole=check.is_lost,
                )
            )
    return losses


def rejected_with(losses: Iterable[Loss], checks: Iterable[FileCheck]) -> Counter[str]:
    """Rejected videos by reason: what was counted, with the estimates in place of what was not."""
    rejected: Counter[str] = Counter()
    for check in checks:
        rejected.update(check.rejected)
        if check.damage:
            rejected[check.damage.reason] -= check.damage.lost_records
    for loss in losses:
        rejected[loss.reason] += loss.videos
    return rejected


def complaint(
    videos: int,
    rejected: Mapping[str, int],
    losses: Sequence[Loss],
    copies: Mapping[str, str],
    limits: DataLimits,
    setting: Callable[[str], str],
    place: str,
) -> str | None:
    """One line on why data is not fit for a run; None where it is.

    Args:
        videos: That can be used.
        rejected: Lost videos by reason, estimates included.
        losses: Lost and cut files.
        copies: Files that hold what other files hold, and those others.
        limits: How much may be wrong.
        setting: From the name of a limit to what a user calls it.
        place: Where all rejects are named.
    """
    lost = sum(rejected.values())
    share = lost / max(1, lost + videos)
    about = "about " if losses else ""
    amount = f"{about}{lost:,} of {lost + videos:,} videos ({share:.2%})"
    gone = [loss for loss in losses if loss.whole]
    if len(gone) > limits.max_lost_files:
        return (
            f"{len(gone)} data file(s) cannot be read at all, more than the {limits.max_lost_files} allowed: "
            f"{_named(gone)}{_cut(losses)}. With them {amount} are lost; fetch these files again, or raise "
            f"{setting('max_lost_files')}"
        )
    if share <= limits.max_reject_share:
        return None
    reasons = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    top = ", ".join(f"{count:,} {reason}" for reason, count in reasons[:_REASONS_NAMED])
    damaged = f"; damaged files: {_named(losses)}" if losses else ""
    twice = "; ".join(
        f"{file} is a copy of {original}" for file, original in list(copies.items())[:_FILES_NAMED]
    )
    return (
        f"{amount} cannot be used, more than the {limits.max_reject_share:.2%} allowed ({top}){damaged}"
        f"{'; ' + twice if twice else ''}; {place}: mend or remove those files, or raise "
        f"{setting('max_reject_share')}"
    )


def _kinds(checks: Iterable[FileCheck]) -> set[str]:
    return {check.kind for check in checks}


def _mean_records(checks: Sequence[FileCheck]) -> float:
    return sum(check.records for check in checks) / max(1, len(checks))


def _cut(losses: Sequence[Loss]) -> str:
    cut = [loss for loss in losses if not loss.whole]
    return f"; cut: {_named(cut)}" if cut else ""


def _named(losses: Sequence[Loss]) -> str:
    names = ", ".join(f"{loss.file} ({loss.reason})" for loss in losses[:_FILES_NAMED])
    more = len(losses) - _FILES_NAMED
    return f"{names} and {more} more" if more > 0 else names
