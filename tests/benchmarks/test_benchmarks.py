"""The frame of the benchmarks: verdicts, the table, and that a failing benchmark takes nothing from the others."""

import json
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("load --clients 0", "--clients: takes a whole number of at least 1. Received: 0"),
        ("load --seconds nan", "--seconds: takes a number of at least 0.1. Received: nan"),
        ("load --seconds -1", "--seconds: takes a number of at least 0.1. Received: -1"),
        ("load --frames 301", "--frames: takes a whole number from 1 to 300. Received: 301"),
        (
            "benchmarks.growth --videos 7",
            "a whole number of at least 1 that is a multiple of 50. Received: 7",
        ),
        ("benchmarks.metrics --rounds x", "--rounds: takes a whole number of at least 1. Received: x"),
        ("benchmarks.input_pipeline --videos 7", "--videos 7 are too few for 8 files and a batch of 80"),
        ("benchmarks.averaging --variant K8", "an architecture is written like"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(command: str, said: str) -> None:
    module, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-m", f"tests.{module}", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
