"""Which files go to which split, and the patterns that name them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.example_gen.patterns import relative_patterns
from components.example_gen.split import split_files
from trainer.base.errors import UserError

VALIDATE = [f"/data/validate{number:04d}.tfrecord" for number in range(3844)]
TRAIN = [f"/data/train{number:04d}.tfrecord" for number in range(3844)]
SETTINGS = {"eval_files": 60, "eval_share": 0.1, "seed": 0}


def test_the_papers_split() -> None:
    split = split_files(TRAIN, VALIDATE, **SETTINGS)
    assert len(split.eval) == 60
    assert len(split.train) == 2 * 3844 - 60
    assert set(split.eval) < set(VALIDATE)
    assert set(split.train) | set(split.eval) == {*TRAIN, *VALIDATE}
    assert list(split.train) == sorted(split.train)


def test_six_of_the_sixty_real_shards_are_evaluated_on() -> None:
    split = split_files([], VALIDATE[:60], **SETTINGS)
    assert (len(split.train), len(split.eval)) == (54, 6)


def test_the_seed_chooses_and_the_directory_does_not() -> None:
    def names(paths: list[str], seed: int) -> list[str]:
        split = split_files([], paths, eval_files=60, eval_share=0.1, seed=seed)
        return [path.rsplit("/", 1)[1] for path in split.eval]

    assert names(VALIDATE[:60], 0) == names(
        [path.replace("/data", "gs://bkt/x") for path in VALIDATE[:60]], 0
    )
    assert names(VALIDATE[:60], 0) == names(VALIDATE[:60][::-1], 0)
    assert names(VALIDATE[:60], 0) != names(VALIDATE[:60], 1)


def test_files_named_train_are_never_evaluated_on() -> None:
    split = split_files([], [*TRAIN[:50], *VALIDATE[:4]], eval_files=60, eval_share=0.5, seed=0)
    assert len(split.eval) == 2
    assert set(split.eval) < set(VALIDATE)


def test_the_holdout_is_taken_beside_the_same_eval_split() -> None:
    without = split_files([], VALIDATE[:60], **SETTINGS)
    split = split_files([], VALIDATE[:60], **SETTINGS, holdout_files=60)
    assert [len(files) for files in split.by_name().values()] == [48, 6, 6]
    assert split.eval == without.eval
    assert set(split.holdout) < set(without.train)
    papers = split_files(TRAIN, VALIDATE, **SETTINGS, holdout_files=30)
    assert (len(papers.eval), len(papers.holdout)) == (60, 30)
    assert papers.eval == split_files(TRAIN, VALIDATE, **SETTINGS).eval
    assert list(without.by_name()) == ["train", "eval"], "nobody asked for a holdout"


@pytest.mark.parametrize("seed", range(5))
def test_files_that_come_later_make_no_holdout_of_what_was_trained_or_chosen_on(seed: int) -> None:
    settings = {"eval_files": 6, "eval_share": 0.1, "holdout_files": 6, "seed": seed}
    before, after = (split_files([], VALIDATE[:count], **settings) for count in (60, 400))
    assert before.eval != after.eval
    assert before.holdout != after.holdout
    assert not {*before.train, *before.eval} & set(after.holdout)
    assert not set(before.holdout) & set(after.eval)


def test_files_that_are_named_as_the_holdout_are_taken_out_of_the_others() -> None:
    held = [VALIDATE[3], TRAIN[1], "/data/other.tfrecord"]
    split = split_files(TRAIN[:9], VALIDATE[:20], held, **SETTINGS)
    assert set(split.holdout) == set(held)
    assert not {*split.train, *split.eval} & set(held)
    assert len(split.train) + len(split.eval) == 8 + 19


@given(
    train=st.sets(st.sampled_from(TRAIN[:30])),
    validate=st.sets(st.sampled_from(VALIDATE[:30]), min_size=2),
    eval_files=st.integers(1, 40),
    eval_share=st.floats(0.01, 0.5),
    holdout_files=st.integers(0, 40),
    named=st.sets(st.sampled_from(VALIDATE[25:31])),
    seed=st.integers(0, 99),
)
def test_every_file_is_in_exactly_one_split(
    train: set[str],
    validate: set[str],
    eval_files: int,
    eval_share: float,
    holdout_files: int,
    named: set[str],
    seed: int,
) -> None:
    settings = {
        "eval_files": eval_files,
        "eval_share": eval_share,
        "holdout_files": holdout_files,
        "seed": seed,
    }
    drawn = validate - named
    most = max(1, round(eval_share * len(drawn)))
    count = min(eval_files, most)
    held = max(0, min(holdout_files, most, len(drawn) - count))
    left, wanted = len(train) + len(drawn) - count - held, bool(holdout_files and not named)
    if not drawn or left < 1 or (wanted and not held):
        with pytest.raises(UserError):
            split_files(train, validate, named, **settings)
        return
    split = split_files(train, validate, named, **settings)
    assert sorted([*split.train, *split.eval, *split.holdout]) == sorted(train | validate | named)
    assert (len(split.eval), len(split.holdout)) == (count, len(named) + held)


@pytest.mark.parametrize(
    ("train", "validate", "part"),
    [
        (TRAIN, [], "no validate file"),
        ([], VALIDATE[:1], "none is left to train on"),
        (VALIDATE[:2], VALIDATE[:3], "matches the train and the validate patterns"),
    ],
)
def test_splits_that_cannot_be(train: list[str], validate: list[str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        split_files(train, validate, **SETTINGS)


def test_a_holdout_that_cannot_be_names_the_way_out() -> None:
    with pytest.raises(
        UserError, match=r"1 become the eval split and 1 the holdout, none is left to train on; .*files=0"
    ):
        split_files([], VALIDATE[:2], **SETTINGS, holdout_files=1)
    with pytest.raises(
        UserError, match=r"1 become the eval split, none is left for the holdout; .*holdout_files=0"
    ):
        split_files(TRAIN[:3], VALIDATE[:1], **SETTINGS, holdout_files=1)


def test_patterns_share_a_base() -> None:
    patterns = relative_patterns(
        ["gs://bkt/yt8m/{SPAN}/train*", "gs://bkt/yt8m/x/y"], ["gs://bkt/yt8m/{SPAN}/validate*"]
    )
    assert patterns == ("gs://bkt/yt8m", ("{SPAN}/train*", "x/y"), ("{SPAN}/validate*",), ())
    assert relative_patterns(["/a/b/c*"], ["/x/y*"]) == ("/", ("a/b/c*",), ("x/y*",), ())
    assert relative_patterns(["/a/t*"], ["/a/v*"], ["/a/h/*"]) == ("/a", ("t*",), ("v*",), ("h/*",))
    assert relative_patterns([], ["/a/bc/v*", "/a/b/v*"]) == ("/a", (), ("bc/v*", "b/v*"), ())


def test_relative_local_patterns_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative_patterns([], ["data/v*"]) == (f"{tmp_path}/data", (), ("v*",), ())


@pytest.mark.parametrize(
    ("train", "validate", "part"),
    [
        (["gs://a/train*"], ["gs://bkt/validate*"], "gs://a, gs://b"),
        (["/a/train*"], ["gs://bkt/validate*"], "different places"),
        (["/a/train*"], [], "at least one validate pattern"),
        ([], [""], "is empty"),
    ],
)
def test_patterns_that_cannot_be(train: list[str], validate: list[str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        relative_patterns(train, validate)
