"""Whether a candidate may be pushed, and why: GAP against a floor and the served model; the size limit."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from components.evaluator.slices import LABELS, labels_bin
from trainer.base.units import MIB


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of a blessing.

    Attributes:
        name: labels, gap_floor, served_gap, tensor_bytes, directory_bytes, or evaluation (which failed as such).
        passed: Whether it holds.
        text: One sentence for people, with the numbers on both sides.
    """

    name: str
    passed: bool
    text: str


def gap_checks(
    gap: float | None,
    baseline_gap: float | None,
    gap_floor: float,
    max_gap_drop: float,
    *,
    holdout: bool = False,
    selection_gap: float | None = None,
) -> list[Check]:
    """GAP against the floor and against the model served now, with the arithmetic of TFMA's thresholds.

    Args:
        gap: Of the candidate; None where it was not measured, which is a failure.
        baseline_gap: Of the served model on the same videos; None where none is served, which passes.
        gap_floor: Least GAP; exactly this much is enough.
        max_gap_drop: How far it may lie below the served model's; exactly this much is allowed.
        holdout: Whether both were measured on the holdout, which the texts then say.
        selection_gap: Of the candidate on the eval split, which is told beside that of the holdout.
    """
    on = " on the holdout" if holdout else ""
    beside = (
        "" if selection_gap is None else f" ({selection_gap:.6f} on the eval split, on which it was chosen)"
    )
    if gap is None:
        return [Check(name="gap_floor", passed=False, text="GAP was not measured: there is no video in it")]
    reached = gap >= gap_floor
    checks = [
        Check(
            name="gap_floor",
            passed=reached,
            text=f"GAP {gap:.6f}{on}{beside} is {'at least' if reached else 'below'} the floor of {gap_floor:.6f}",
        )
    ]
    if baseline_gap is None:
        text = "no model is served yet, so there is none to compare with"
        return [*checks, Check(name="served_gap", passed=True, text=text)]
    difference = gap - baseline_gap
    near = difference >= -max_gap_drop
    text = (
        f"GAP {gap:.6f}{on} against {baseline_gap:.6f} of the served model: {difference:+.6f}, "
        f"{'within' if near else 'more than'} the drop of {max_gap_drop:.6f} that is allowed"
    )
    return [*checks, Check(name="served_gap", passed=near, text=text)]


def label_checks(slices: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Whether there were positive labels to measure on; without any every GAP is 0, and says nothing.

    Args:
        slices: See `components.evaluator.results.read_results`.
    """
    labelled = sum(
        one["candidate"]["videos"]
        for one in slices
        if one["feature"] == LABELS and one["bin"] != labels_bin(0) and one["candidate"]
    )
    text = (
        f"{labelled:,} videos of the eval split have labels"
        if labelled
        else "no video of the eval split has labels"
    )
    return [Check(name="labels", passed=labelled > 0, text=text)]


def size_checks(tensor_bytes: int, directory_bytes: int, limit_bytes: int) -> list[Check]:
    """The size limit, on the tensors as stored (the paper's measure) and on the directory as pushed."""
    sizes = (
        ("tensor_bytes", "the tensors", tensor_bytes),
        ("directory_bytes", "the directory", directory_bytes),
    )
    limit = f"the limit of {limit_bytes} ({limit_bytes / MIB:.2f} MiB)"
    return [
        Check(
            name=name,
            passed=size <= limit_bytes,
            text=f"{what}: {size} bytes ({size / MIB:.2f} MiB), "
            f"{'within' if size <= limit_bytes else 'over'} {limit}",
        )
        for name, what, size in sizes
    ]


def directory_bytes(directory: str) -> int:
    """Bytes of all files under a directory, local or on a file system that TensorFlow knows."""
    return sum(
        tf.io.gfile.stat(posixpath.join(parent, name)).length
        for parent, _, names in tf.io.gfile.walk(directory)
        for name in names
    )


def verdict(checks: Sequence[Check]) -> dict[str, Any]:
    """The JSON form: blessed, the reasons (what failed or, if nothing did, what passed), and all checks."""
    failed = [check for check in checks if not check.passed]
    return {
        "blessed": not failed,
        "reasons": [check.text for check in failed or checks],
        "checks": [asdict(check) for check in checks],
    }
