"""Estimates what lost and cut files held from the other files, and judges whether too much is lost.

A file of no bytes, an error page in place of a file, or a file cut in half does not tell how many videos are missing.
The shards of a data set are about equally large, so such a file is taken to have held as many records as the whole
files of its kind (train, validate, test) hold on average, or all whole files where its kind has none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainer.data.checks.file_check import FileCheck

_FILES_NAMED, _REASONS_NAMED = 5, 3


@dataclass(frozen=True, kw_only=True)
class LostFile:
    """A data file that is lost or cut."""

    file: str
    reason: str
    """See `trainer.data.tfrecord.Damage`."""
    detail: str
    videos: int
    """Estimated number of its videos beside those that were read; at least 1."""
    whole: bool
    """Whether the whole file is lost: no record of it could be read."""


@dataclass(frozen=True, kw_only=True)
class DataLimits:
    """Limits of what may be lost of the data before a run stops.

    Attributes:
        max_reject_share: Largest share of all videos that may be lost, 0 to 1.
        max_lost_files: Most files of which no record can be read.
    """

    max_reject_share: float = 0.01
    max_lost_files: int = 0


def estimate_lost_files(checks: Iterable[FileCheck]) -> list[LostFile]:
    """Returns the lost and cut files among the checked ones, in their order."""
    checks = list(checks)
    whole = [check for check in checks if check.damage is None]
    means = {kind: _mean_records([check for check in whole if check.kind == kind]) for kind in _kinds(checks)}
    overall = _mean_records(whole)
    lost_files = []
    for check in checks:
        if damage := check.damage:
            held = means[check.kind] or overall
            lost_files.append(
                LostFile(
                    file=check.path,
                    reason=damage.reason,
                    detail=damage.detail,
                    videos=max(damage.lost_records, round(held) - check.records),
                    whole=check.is_lost,
                )
            )
    return lost_files


def rejected_with(lost_files: Iterable[LostFile], checks: Iterable[FileCheck]) -> Counter[str]:
    """Returns the number of rejected videos by reason, with the estimates for the files that are lost or cut."""
    rejected: Counter[str] = Counter()
    for check in checks:
        rejected.update(check.rejected)
        if check.damage:
            rejected[check.damage.reason] -= check.damage.lost_records
    for lost in lost_files:
        rejected[lost.reason] += lost.videos
    return rejected


def complaint(
    videos: int,
    rejected: Mapping[str, int],
    lost_files: Sequence[LostFile],
    copies: Mapping[str, str],
    limits: DataLimits,
    setting: Callable[[str], str],
    place: str,
) -> str | None:
    """Says in one line why data is not fit for a run; None where it is fit.

    Args:
        videos: Number of videos that can be used.
        rejected: Number of lost videos by reason, estimates included.
        lost_files: The lost and cut files.
        copies: Path of the original by the path of its copy.
        limits: Limits of what may be lost.
        setting: Turns the name of a limit into the name that its user knows, such as an option's.
        place: Says where all rejects are named, for the message.
    """
    count = sum(rejected.values())
    share = count / max(1, count + videos)
    about = "about " if lost_files else ""
    amount = f"{about}{count:,} of {count + videos:,} videos ({share:.2%})"
    gone = [lost for lost in lost_files if lost.whole]
    if len(gone) > limits.max_lost_files:
        foreign = ", give a pattern without files of other kinds" * any(
            lost.reason == "foreign_file" for lost in gone
        )
        return (
            f"{len(gone)} data file(s) cannot be read at all, more than the {limits.max_lost_files} allowed: "
            f"{_named(gone)}{_cut(lost_files)}. With them {amount} are lost; fetch these files again, "
            f"unpack what is packed otherwise than by gzip{foreign}, or raise {setting('max_lost_files')}"
        )
    if share <= limits.max_reject_share:
        return None
    reasons = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    top = ", ".join(f"{count:,} {reason}" for reason, count in reasons[:_REASONS_NAMED])
    damaged = f"; damaged files: {_named(lost_files)}" if lost_files else ""
    twice = "; ".join(
        f"{file} is a copy of {original}" for file, original in list(copies.items())[:_FILES_NAMED]
    )
    # Labels that are out of range are right in data of another edition.
    classes = f", give {setting('num_classes')} as the data have them" * ("label_out_of_range" in rejected)
    return (
        f"{amount} cannot be used, more than the {limits.max_reject_share:.2%} allowed ({top}){damaged}"
        f"{'; ' + twice if twice else ''}; {place}: mend or remove those files{classes}, or raise "
        f"{setting('max_reject_share')}"
    )


def _kinds(checks: Iterable[FileCheck]) -> set[str]:
    return {check.kind for check in checks}


def _mean_records(checks: Sequence[FileCheck]) -> float:
    return sum(check.records for check in checks) / max(1, len(checks))


def _cut(lost_files: Sequence[LostFile]) -> str:
    cut = [lost for lost in lost_files if not lost.whole]
    return f"; cut: {_named(cut)}" if cut else ""


def _named(lost_files: Sequence[LostFile]) -> str:
    names = ", ".join(f"{lost.file} ({lost.reason})" for lost in lost_files[:_FILES_NAMED])
    more = len(lost_files) - _FILES_NAMED
    return f"{names} and {more} more" if more > 0 else names
