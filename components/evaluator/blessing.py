"""Whether a candidate may be pushed, and why: GAP against a floor and the served model; the size limit."""

import posixpath
from collections.abc import Sequence

import tensorflow as tf

from components.evaluator.report import SliceMetrics
from components.evaluator.slices import LABELS, SPAN, labels_bin
from components.verdict import Check
from trainer.base.units import MIB


def gap_checks(
    gap: float | None,
    baseline_gap: float | None,
    gap_floor: float,
    max_gap_drop: float,
    *,
    holdout: bool = False,
    selection_gap: float | None = None,
) -> list[Check]:
    """Checks GAP against the floor and against the model served now, with the arithmetic of TFMA's thresholds.

    Args:
        gap: GAP of the candidate, 0 to 1; None where it was not measured, which is a failure.
        baseline_gap: GAP of the served model on the same videos; None where none is served, which passes.
        gap_floor: Least GAP; exactly this much is enough.
        max_gap_drop: How far the candidate's GAP may lie below that of the served model; exactly this much is
            allowed.
        holdout: Whether both were measured on the holdout, which the texts then say.
        selection_gap: GAP of the candidate on the eval split; the text names it beside that on the holdout.
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


def span_checks(slices: Sequence[SliceMetrics], max_gap_drop: float) -> list[Check]:
    """Checks that nothing is forgotten: in no span may the candidate fall further below the served model than allowed.

    Args:
        slices: The metrics by span, and by other features, which are passed over.
        max_gap_drop: How far the candidate's GAP may lie below that of the served model, in each span.
    """
    checks = []
    for one in slices:
        if one.feature == SPAN and one.candidate and one.baseline:
            difference = one.candidate.gap - one.baseline.gap
            near = difference >= -max_gap_drop
            text = (
                f"span {one.bin}: GAP {one.candidate.gap:.6f} against {one.baseline.gap:.6f} of the served model: "
                f"{difference:+.6f}, {'within' if near else 'more than'} the drop of {max_gap_drop:.6f} that is allowed"
            )
            checks.append(Check(name=f"span_{one.bin}", passed=near, text=text))
    return checks


def label_checks(slices: Sequence[SliceMetrics]) -> list[Check]:
    """Checks that there were positive labels to measure on: without any every GAP is 0, and says nothing.

    Args:
        slices: The metrics by number of labels, and by other features, which are passed over.
    """
    labelled = sum(
        one.candidate.videos
        for one in slices
        if one.feature == LABELS and one.bin != labels_bin(0) and one.candidate
    )
    text = (
        f"{labelled:,} videos of the eval split have labels"
        if labelled
        else "no video of the eval split has labels"
    )
    return [Check(name="labels", passed=labelled > 0, text=text)]


def size_checks(tensor_bytes: int, directory_bytes: int, limit_bytes: int) -> list[Check]:
    """Checks the tensors as stored (the paper's measure) and the directory as pushed against the size limit.

    Args:
        tensor_bytes: Bytes of all members' tensors as stored.
        directory_bytes: Bytes of all files of the SavedModel.
        limit_bytes: Largest size of either; exactly this much is allowed.
    """
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
    """Adds up the bytes of all files under a directory, local or in a bucket."""
    return sum(
        tf.io.gfile.stat(posixpath.join(parent, name)).length
        for parent, _, names in tf.io.gfile.walk(directory)
        for name in names
    )
