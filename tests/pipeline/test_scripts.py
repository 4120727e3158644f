"""Scripts that install, or that take minutes, refuse wrong arguments in one line before they do anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(directory: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a checkout that has nothing else, and where what it calls leaves a file."""
    (directory / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / script, directory / "scripts")
    (directory / "bin").mkdir()
    for name in ("uv", "debootstrap", "go", "unshare", "mount"):
        (directory / "bin" / name).write_text(
            f"#!/bin/sh\ntouch {directory}/called\nexit 1\n", encoding="utf-8"
        )
        (directory / "bin" / name).chmod(0o755)
    done = subprocess.run(
        [*([sys.executable] if script.endswith(".py") else []), directory / "scripts" / script, *arguments],
        cwd=directory.parent,
        env={**os.environ, "PATH": f"{directory / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(os.listdir(directory)) == ["bin", "scripts"]
    return done


@pytest.mark.parametrize(
    ("script", "arguments", "line"),
    [
        ("setup.sh", ["--chekc"], "setup: takes nothing, --check or --lock, not '--chekc'"),
        ("setup.sh", ["--check", "more"], "setup: takes nothing, --check or --lock, not '--check more'"),
        ("setup.sh", [""], "setup: takes nothing, --check or --lock, not ''"),
        ("in_debian13.sh", ["--nosuch"], "in_debian13: no option '--nosuch'"),
        ("test_tfx121.sh", ["--quick"], "test_tfx121: takes no arguments, not '--quick'"),
        ("test_tfx121.sh", [], "test_tfx121: .venv/bin/yt8m is missing: make setup"),
        ("test_portable.sh", ["--quick"], "test_portable: takes no arguments, not '--quick'"),
        ("test_portable.sh", [], "test_portable: .venv/bin/python is missing: make setup"),
        (
            "image_root.py",
            ["--quick"],
            "image: run it without arguments, and inside a Debian 13: make test-image",
        ),
    ],
)
def test_wrong_arguments_begin_nothing(tmp_path: Path, script: str, arguments: list[str], line: str) -> None:
    done = run(tmp_path, script, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(line)


@pytest.mark.parametrize("script", ["setup.sh", "in_debian13.sh"])
def test_help_begins_nothing(tmp_path: Path, script: str) -> None:
    done = run(tmp_path, script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scripts/{script}" in done.stdout
