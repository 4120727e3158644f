"""The division of files into those to train on, the evaluation set (paper, "Data") and the holdout."""

import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from trainer.base.errors import UserError


@dataclass(frozen=True)
class Split:
    """The files of the splits, each list sorted.

    Attributes:
        train: Files to train on.
        eval: Files that averages, members and weights are chosen on.
        holdout: Files that nothing is trained or chosen on; empty where no holdout is asked for.
    """

    train: tuple[str, ...]
    eval: tuple[str, ...]
    holdout: tuple[str, ...] = ()

    def by_name(self) -> dict[str, tuple[str, ...]]:
        """Returns the files by the name of their split; no holdout where it is empty."""
        holdout = {"holdout": self.holdout} if self.holdout else {}
        return {"train": self.train, "eval": self.eval, **holdout}


def split_files(
    train: Iterable[str],
    validate: Iterable[str],
    holdout: Iterable[str] = (),
    *,
    eval_files: int,
    eval_share: float,
    holdout_files: int = 0,
    seed: int,
) -> Split:
    """Divides the files: a few validate files become the eval split, others the holdout, and the rest is trained on.

    Of n validate files min(eval_files, max(1, round(eval_share * n))) become the eval split: the paper's 60
    of 3844, and 6 of 60. Which ones depends on the seed and the files' names, not on the directory or on the
    other files' number. A file that is named train* is never evaluated on, even where a pattern of validate
    files matches it. As many again, by `holdout_files` in place of `eval_files`, become the holdout: the eval split is
    the same with it and without it.

    Args:
        train: Paths of files that are all trained on; may be empty.
        validate: Paths of the files that are divided.
        holdout: Paths of files that are the holdout, also where they stand in the other lists.
        eval_files: Most files of the eval split.
        eval_share: Largest share of the validate files that becomes the eval split, 0 to 1; at least one file does.
            The same share bounds the holdout.
        holdout_files: Most validate files of the holdout; 0 for none but those of `holdout`.
        seed: Seed of the choice.

    Raises:
        UserError: If a split would have no file, or a file stands in both lists.
    """
    holdout = set(holdout)
    held_out = set(validate) & holdout
    train, validate = set(train) - holdout, set(validate) - holdout
    if both := sorted(train & validate):
        raise UserError(
            f"{both[0]} ({len(both)} in all) matches the train and the validate patterns; make them disjoint"
        )
    named_train = {path for path in validate if posixpath.basename(path).startswith("train")}
    train, validate = train | named_train, validate - named_train
    if not validate:
        if held_out:
            raise UserError(
                f"the holdout's patterns (data.holdout_files) match all {len(held_out)} validate files, and none is "
                "left for the eval split; name fewer files in them"
            )
        raise UserError(
            "there is no validate file to take the eval split from; name some in the validate patterns"
        )
    most = max(1, round(eval_share * len(validate)))
    count, held = min(eval_files, most), min(holdout_files, most)
    ranked = sorted(validate, key=lambda path: _rank(path, seed))
    # From the two ends: with files that are added later, none goes from the eval split to the holdout.
    chosen, others = set(ranked[:count]), ranked[count:]
    holdout |= set(others[max(0, len(others) - held) :])
    split = Split(
        train=tuple(sorted((train | validate) - chosen - holdout)),
        eval=tuple(sorted(chosen)),
        holdout=tuple(sorted(holdout)),
    )
    left = {"to train on": split.train, **({"for the holdout": split.holdout} if holdout_files else {})}
    for purpose, files in left.items():
        if not files:
            taken = f"{count} become the eval split" + (f" and {held} the holdout" if split.holdout else "")
            remedy = ", or set data.holdout_files=0" if holdout_files else ""
            raise UserError(
                f"of {len(validate)} validate file(s) {taken}, none is left {purpose}; add train files or more "
                f"validate files{remedy}"
            )
    return split


def _rank(path: str, seed: int) -> tuple[bytes, str]:
    """Gives a file a random place in the order, by hash: a shuffle would change with every file that is added."""
    return hashlib.sha256(f"{seed}/{posixpath.basename(path)}".encode()).digest(), path
