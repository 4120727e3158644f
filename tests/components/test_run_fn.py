"""How a finished training run gets from the directory that outlives a kill to the artifact."""

import os

import pytest

from components.trainer import run_fn


@pytest.fixture
def places(tmp_path):
    """The run, its work directory and the artifact, which exists already."""
    work, target = tmp_path / "work" / "Trainer-K2-H4", tmp_path / "artifact"
    (work / "0123" / "snapshots").mkdir(parents=True)
    (work / "0123" / "state").mkdir()
    target.mkdir()
    for name in ("snapshots/a.index", "snapshots/b.index", "state/c.index"):
        (work / "0123" / name).write_text(name)
    return work / "0123", target, work


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_everything_arrives_and_nothing_stays_behind(places):
    run, target, work = places
    expected = files(run)
    run_fn.hand_over(str(run), str(target), str(work))
    assert files(target) == expected
    assert os.listdir(work.parent) == []


def test_a_run_that_is_killed_while_it_is_handed_over_is_still_whole(places, monkeypatch):
    run, target, work = places
    expected, link = files(run), run_fn._link

    def killed_after_the_first(source, destination):
        link(source, destination)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_fn, "_link", killed_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        run_fn.hand_over(str(run), str(target), str(work))
    assert files(run) == expected
