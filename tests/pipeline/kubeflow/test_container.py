import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["sizes", "--json"], "yt8m"),
        (["--help"], "yt8m"),
        ([], "yt8m"),
        (["--id=1", "--logging_endpoint=x"], "boot"),
        (["--worker_pool"], "boot"),
    ],
)
def test_the_image_is_the_command_and_a_beam_worker(tmp_path, arguments: list[str], program: str) -> None:
    for name in ("yt8m", "boot"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\necho {name} "$@"\n', encoding="utf-8")
        stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "BEAM_BOOT": str(tmp_path / "boot")}
    done = subprocess.run(
        ["sh", str(ROOT / "scripts" / "container.sh"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [program, *arguments]


def test_image_takes_the_versions_of_the_lock_files() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for lane, python, name in (
        ("tfx116", "3.11", "requirements.lock"),
        ("tfx121", "3.13", "requirements-tfx121.lock"),
    ):
        lock = (ROOT / name).read_text(encoding="utf-8")
        beam = re.search(r"^apache-beam==(\S+)", lock, re.MULTILINE)[1]
        assert f"FROM apache/beam_python{python}_sdk:{beam} AS beam-{lane}\n" in dockerfile
        assert re.search(
            rf"^FROM python:{re.escape(python)}-slim-\w+ AS python-{lane}$", dockerfile, re.MULTILINE
        )
    setup = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    assert f"UV_VERSION={re.search(r'^UV_VERSION=(.*)$', setup, re.MULTILINE)[1]}\n" in dockerfile


def test_image_gets_every_file_that_it_copies_and_runs_as_a_number() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in [part for part in line.split() if not part.startswith("--")][:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{source}" for source in copied} == {line for line in ignore if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)
    assert re.search(r"^USER \d+:\d+$", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("lane", ["requirements", "requirements-tfx121"])
def test_the_image_is_made_without_what_only_tests_want(lane: str) -> None:
    production, dev = (
        set(re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in (f"{lane}.lock", f"{lane}-dev.lock")
    )
    assert dev >= {"pytest", "playwright", "ruff", "hypothesis"}
    assert not production & dev
    assert "-dev.lock" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[\w.-]+==\S+ ", block) and "--hash=sha256:" in block for block in blocks)
