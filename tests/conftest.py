"""What the tests of all packages share."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.gcs_emulator import GcsEmulator
from trainer.base.garbage import collect_less

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

# As the entry points do.
collect_less()

# A law is not broken by a machine that is busy.
settings.register_profile("yt8m", deadline=None)
settings.load_profile("yt8m")


class _Scheduling(LoadFileScheduling):
    """A file's tests run in one process; those of whole runs in the same, because they share one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "whole runs" if file.endswith("_end_to_end.py") else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs come first, then files with slow tests: of two processes none is left with a long file at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not item.path.name.endswith("_end_to_end.py"), item.path not in slow))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def tiny_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with four train and four validate shards, 120 and 80 learnable videos of a few frames."""
    from trainer.data.sample import write_sample

    directory = tmp_path_factory.mktemp("sample")
    write_sample(str(directory), train_videos=120, validate_videos=80, shards=4, min_frames=1, max_frames=4)
    return directory


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of 2 MiB of its own."""
    directory = tmp_path / "small-disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", directory], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsEmulator]:
    """A Cloud Storage server with the bucket `bucket`, which the client library of this process talks to."""
    with GcsEmulator() as emulator:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.host)
        yield emulator
