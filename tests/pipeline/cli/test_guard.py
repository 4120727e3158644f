"""How a program ends: one line and an exit code, whatever failed and whoever reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "13, 'Permission denied'",
            "Permission denied; give this user the right to it, or name another place",
        ),
        ("21, 'Is a directory'", "Is a directory; put that right, or name another place"),
        ("40, 'Too many levels'", "Too many levels; put that right, or name another place"),
    ],
)
def test_what_cannot_be_opened_as_it_is_is_no_fault_of_the_program(error: str, said: str) -> None:
    script = (
        "import sys; import pipeline.cli.training.sizes as s; import pipeline.cli.main as m\n"
        f"def denied(v): raise OSError({error}, '/models/labels.json')\n"
        "s.size_row = denied\n"
        "sys.argv = ['yt8m', 'sizes']\n"
        "m.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, f"yt8m: /models/labels.json: {said}\n")


def test_an_interruption_is_told() -> None:
    script = (
        "import sys; import pipeline.cli.training.sizes as s; import pipeline.cli.main as m\n"
        "def interrupted(v): raise KeyboardInterrupt\n"
        "s.size_row = interrupted\n"
        "sys.argv = ['yt8m', 'sizes']\n"
        "m.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "yt8m: interrupted\n")


def _told_by_a_fault(script: str, scratch: Path) -> str:
    """The only line on stderr of a program that ends with exit code 1."""
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"TMPDIR": str(scratch), "PATH": "/usr/bin:/bin"},
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    return line


def test_fault_of_the_program_is_one_line_exit_code_1_and_a_trace_in_a_file(tmp_path) -> None:
    script = (
        "import sys; import pipeline.cli.training.sizes as s; import pipeline.cli.main as m\n"
        "def broken(v): raise ZeroDivisionError('by zero')\n"
        "s.size_row = broken\n"
        "sys.argv = ['yt8m', 'sizes']\n"
        "m.main()\n"
    )
    line = _told_by_a_fault(script, tmp_path)
    assert "ZeroDivisionError: by zero" in line
    (log,) = tmp_path.glob("yt8m-*.log")
    assert str(log) in line
    assert "Traceback" in log.read_text()


def test_a_full_disk_is_one_line_that_names_it(small_disk) -> None:
    script = (
        "import os, sys, tempfile; import pipeline.cli.training.sizes as s; import pipeline.cli.main as m\n"
        "def write(v):\n"
        "    with tempfile.NamedTemporaryFile() as file: file.write(bytes(2**22))\n"
        "s.size_row = write\n"
        "sys.argv = ['yt8m', 'sizes']\n"
        "m.main()\n"
    )
    line = _told_by_a_fault(script, small_disk)
    assert "No space left on device" in line
    assert (
        f"make room on the disk that is full, probably that of TMPDIR ({small_disk}, 2 of 2 MiB free now)"
        in line
    )


def test_a_fault_that_leaves_no_room_for_its_trace_is_still_told(small_disk) -> None:
    script = (
        "import os, sys, tempfile; import pipeline.cli.training.sizes as s; import pipeline.cli.main as m\n"
        "def broken(v):\n"
        "    tempfile.gettempdir()\n"
        "    os.system('cat /dev/zero > $TMPDIR/all 2> /dev/null')\n"
        "    raise ZeroDivisionError('by zero')\n"
        "s.size_row = broken\n"
        "sys.argv = ['yt8m', 'sizes']\n"
        "m.main()\n"
    )
    line = _told_by_a_fault(script, small_disk)
    assert "ZeroDivisionError: by zero (yt8m -v shows the trace, which could not be written: " in line


def test_reader_that_stops_early_gets_no_trace() -> None:
    command = f"{sys.executable} -m pipeline.cli.main sizes --json | head -c 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.stdout == "["
    assert result.stderr == ""


def _in_shell(redirected: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m pipeline.cli.main {redirected}"
    return subprocess.run(
        ["sh", "-c", command], env=os.environ | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_nobody_who_reads_the_line_leaves_the_exit_code_as_it_is(closed: str) -> None:
    done = _in_shell(f"nonsense {closed}")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("verb", ["sizes", "recipes --json", "--help"])
def test_a_full_disk_behind_standard_output_is_called_so(verb: str, unbuffered: str) -> None:
    done = _in_shell(f"{verb} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (
        1,
        "yt8m: standard output cannot be written: No space left on device; send it to another place\n",
    )
