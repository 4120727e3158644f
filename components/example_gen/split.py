"""Which files are trained on and which are the evaluation set (paper, Data)."""

import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from trainer.errors import UserError


@dataclass(frozen=True)
class Split:
    """The files of both splits, each list sorted."""

    train: tuple[str, ...]
    eval: tuple[str, ...]


def split_files(
    train: Iterable[str], validate: Iterable[str], *, eval_files: int, eval_share: float, seed: int
) -> Split:
    """All train files and all but a few validate files -> `train`; those few -> `eval`.

    Of n validate files min(eval_files, max(1, round(eval_share * n))) become the eval split: the paper's 60
    of 3844, and 6 of 60. Which ones depends on the seed and the files' names, not on the directory or on the
    other files' number. A file that is named train* is never evaluated on, even where a pattern of validate
    files matches it.

    Args:
        train: Paths of files that are all trained on; may be empty.
        validate: Paths of the files that are divided.
        eval_files: Most files of the eval split.
        eval_share: Largest share of the validate files for it, unless that were none.
        seed: Of the choice.

    Raises:
        UserError: A split would have no file, or a file stands in both lists.
    """
    train, validate = set(train), set(validate)
    if both := sorted(train & validate):
        raise UserError(
            f"{both[0]} ({len(both)} in all) matches the train and the validate patterns; make them disjoint"
        )
    named_train = {path for path in validate if posixpath.basename(path).startswith("train")}
    train, validate = train | named_train, validate - named_train
    if not validate:
        raise UserError(
            "there is no validate file to take the eval split from; name some in the validate patterns"
        )
    count = min(eval_files, max(1, round(eval_share * len(validate))))
    chosen = set(sorted(validate, key=lambda path: _rank(path, seed))[:count])
    split = Split(tuple(sorted(train | (validate - chosen))), tuple(sorted(chosen)))
    if not split.train:
        raise UserError(
            f"of {len(validate)} validate file(s) {count} become the eval split, none is left to train on; "
            "add train files or more validate files"
        )
    return split


def _rank(path: str, seed: int) -> tuple[bytes, str]:
    """A random place in the order: by hash, because a shuffle would change with every file that is added."""
    return hashlib.sha256(f"{seed}/{posixpath.basename(path)}".encode()).digest(), path
