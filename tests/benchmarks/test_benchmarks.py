"""The frame of the benchmarks: verdicts, the table, and that a failing benchmark takes nothing from the others."""

import json

import pytest

from tests.benchmarks.__main__ import benchmarks, run_all
from tests.benchmarks.figures import Figure, markdown

GOOD = """
from tests.benchmarks.figures import Figure, main

def figures(arguments):
    yield Figure(name="steps", value=1234.5, unit="steps/s", ratio=1.25, yardstick="matmul", goal=1.2)

if __name__ == "__main__":
    main("", figures)
"""
BAD = """
from tests.benchmarks.figures import Figure, main

def figures(arguments):
    yield Figure(name="lost", value=1, unit="s")
    raise MemoryError

if __name__ == "__main__":
    main("", figures)
"""


@pytest.mark.parametrize(
    ("value", "ratio", "goal", "at", "reached"),
    [
        (1, None, None, "least", None),
        (5, None, 5, "least", True),
        (4, None, 5, "least", False),
        (4, 6, 5, "least", True),  # the ratio is what counts where there is one
        (6, 4, 5, "most", True),
        (4, 6, 5, "most", False),
    ],
)
def test_reached(value, ratio, goal, at, reached):
    assert Figure(name="", value=value, unit="", ratio=ratio, goal=goal, at=at).reached is reached


def test_the_table_says_what_was_not_reached():
    slow = Figure(name="slow", value=2, unit="s", ratio=3, yardstick="fast, 1 s", goal=1.5, at="most")
    assert (
        markdown([slow]).splitlines()[-1] == "| slow | 2 s | 3.000 | fast, 1 s | at most 1.5 | NOT reached |"
    )


def test_one_that_fails_takes_nothing_from_the_others(tmp_path, monkeypatch, capfd):
    package = tmp_path / "some"
    package.mkdir()
    for name, source in (("__init__", ""), ("bad", BAD), ("good", GOOD), ("helper", "figure = 1")):
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    assert benchmarks(package) == ["bad", "good"]
    assert not run_all(["bad", "good"], tmp_path / "out", "some")
    assert "bad: 0 s, FAILED with exit code 1" in capfd.readouterr().err.replace("bad: 1 s", "bad: 0 s")
    document = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert document["machine"]["cores"] >= 1
    assert document["benchmarks"]["bad"]["figures"] == []
    assert document["benchmarks"]["good"]["figures"][0]["value"] == 1234.5
    table = (tmp_path / "out" / "benchmarks.md").read_text()
    assert "| steps | 1,234 steps/s | 1.250 | matmul | at least 1.2 | reached |" in table
    assert "bad FAILED." in table
    assert run_all(["good"], tmp_path / "out", "some")


def test_the_benchmarks_of_this_package_are_found():
    assert {"metrics", "averaging", "decode_at_load"} <= set(benchmarks())
