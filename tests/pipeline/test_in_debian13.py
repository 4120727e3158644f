"""Where scripts/in_debian13.sh cannot make a system of its own: one line and exit code 77, and nothing is touched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(directory: Path, tools: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in it, with stand-ins for some tools and nothing but a shell besides."""
    path = directory / "bin"
    path.mkdir()
    for tool in ("bash", "dirname", "sed"):
        (path / tool).symlink_to(shutil.which(tool))
    for name, script in {"id": "echo 0", "uname": "echo x86_64", **tools}.items():
        (path / name).write_text(f"#!{shutil.which('sh')}\n{script}\n", encoding="utf-8")
        (path / name).chmod(0o755)
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / "in_debian13.sh"), *command],
        env={"PATH": str(path), "HOME": str(directory), "DEBIAN13_ROOT": str(directory / "root")},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        ({"id": "echo 1000"}, "only root can make a Debian 13 inside this system"),
        ({"uname": "echo aarch64"}, "TFX has wheels for x86-64 only"),
        ({}, "debootstrap is missing. Install: apt-get install -y debootstrap"),
        ({"debootstrap": "exit 0", "unshare": "exit 1"}, "this system allows no mounts (a container?)"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, tools: dict[str, str], reason: str) -> None:
    done = run(tmp_path, tools, "true")
    assert done.returncode == 77
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"in_debian13: {reason}")
    assert os.listdir(tmp_path) == ["bin"]


def test_without_a_command_it_says_what_it_is_for(tmp_path: Path) -> None:
    done = run(tmp_path, {})
    assert done.returncode == 2
    assert "scripts/in_debian13.sh make test" in done.stderr
