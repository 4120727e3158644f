"""What C++ writes to standard error while a package is loaded, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

NOISY = """
import os
lines = [
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n",
    b"I0000 00:00:1795894267.332792   22824 port.cc:153] oneDNN custom operations are on.\\n",
    b"E1128 19:31:07.334024   22824 cuda_fft.cc:479] Unable to register cuFFT factory\\n",
    b"12:00:00 progress of ours\\n",
]
for line in lines:
    os.write(2, line)
if os.environ.get("FAILS"):
    raise ImportError("a library is missing")
"""

PROGRAM = """
import sys
from pipeline.cli import guard
guard.prepare_logging()
if "--verbose" in sys.argv:
    guard.be_verbose()
import tensorflow
sys.stderr.write(f"{tensorflow.__spec__.name} is here\\n")
"""


def imported(directory: Path, *arguments: str, **environment: str) -> list[str]:
    package = directory / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(NOISY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"PYTHONPATH": f"{directory}:{Path(__file__).parents[3]}", **environment},
        capture_output=True,
        text=True,
    )
    return done.stderr.splitlines()


def test_log_lines_of_the_import_are_taken_away_and_no_others(tmp_path: Path) -> None:
    assert imported(tmp_path) == ["12:00:00 progress of ours", "tensorflow is here"]


def test_a_verbose_user_sees_everything(tmp_path: Path) -> None:
    assert len(imported(tmp_path, "--verbose")) == 5


def test_an_import_that_fails_says_why(tmp_path: Path) -> None:
    lines = imported(tmp_path, FAILS="1")
    assert lines[0] == "12:00:00 progress of ours"
    assert lines[-1] == "ImportError: a library is missing"


@pytest.mark.slow
def test_tensorflow_is_imported_in_silence() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stderr == "tensorflow is here\n"
