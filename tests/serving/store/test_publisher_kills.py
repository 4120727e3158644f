"""Publishers are killed at random moments; whoever looks meanwhile sees whole versions only."""

import os
import random
import subprocess
import sys
import threading
import time

import pytest

from serving.store import model_store
from serving.store.manifest import MANIFEST, check_manifest
from tests.gcs_emulator import BUCKET
from tests.serving.publishers import LEASE_SECONDS, check_versions, start_publisher
from tests.serving.store.model_files import write_model

KILLS = 50


def test_publishing_imports_no_tensorflow():
    code = "import sys, serving.store.model_store, serving.store.gcs_store; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_version_is_what_sha256sum_reads(tmp_path):
    published = model_store.publish(write_model(tmp_path / "source"), str(tmp_path / "served"))
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", MANIFEST], cwd=published.path, check=True)


def test_two_publishing_processes_leave_each_others_work_alone(tmp_path):
    base = str(tmp_path / "served")
    sources = [write_model(tmp_path / f"s{n}", f"content {n}".encode(), files=100) for n in range(2)]
    publishers = [start_publisher(source, base) for source in sources for _ in range(2)]
    for publisher in publishers:
        publisher.join()
    assert [publisher.exitcode for publisher in publishers] == [0] * 4
    assert set(os.listdir(base)) == {str(version) for version in model_store.list_versions(base)}
    for version in model_store.list_versions(base):
        check_manifest(os.path.join(base, str(version)))


@pytest.mark.slow
def test_killed_beside_a_local_directory(tmp_path):
    base = str(tmp_path / "served")
    model_store.publish(write_model(tmp_path / "first", b"first"), base)
    ended, wrong, seen = threading.Event(), [], set()

    def look():
        while not ended.is_set():
            for name in set(os.listdir(base)) - seen:
                if name.isdigit():
                    try:
                        check_manifest(os.path.join(base, name))
                    except Exception as error:
                        wrong.append(error)
                    seen.add(name)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        half_done = _kill_publishers(
            tmp_path, base, lambda: any(name.startswith(".tmp-") for name in os.listdir(base))
        )
    finally:
        ended.set()
        reader.join()
    assert wrong == []
    assert half_done >= 10
    model_store.publish(write_model(tmp_path / "last", b"last"), base)
    assert all(name.isdigit() for name in os.listdir(base))
    for version in os.listdir(base):
        check_manifest(os.path.join(base, version))


@pytest.mark.slow
def test_killed_beside_a_bucket(tmp_path, gcs):
    # A reader between any two requests, which is more often than one can poll.
    gcs.after_change = lambda: check_versions(gcs.contents())
    base = f"gs://{BUCKET}/models"
    half_done = _kill_publishers(
        tmp_path, base, lambda: any(".claim-" in name for name in gcs.contents("models/"))
    )
    assert half_done >= 10
    time.sleep(LEASE_SECONDS)
    last = start_publisher(write_model(tmp_path / "last", b"last"), base)
    last.join()
    assert last.exitcode == 0
    versions = model_store.list_versions(base)
    assert {name.partition("/")[0] for name in gcs.contents("models/")} == set(map(str, versions))


def _kill_publishers(tmp_path, base, half_done) -> int:
    """Kills KILLS publishers; returns after how many of them something was half done."""
    sources = [write_model(tmp_path / f"s{n}", str(n).encode(), files=20) for n in range(4)]
    for source in sources[:2]:  # the second one without the start of the process they are forked from
        started = time.monotonic()
        start_publisher(source, base).join()
        whole_run = time.monotonic() - started
    generator, killed, found = random.Random(7), 0, 0
    for attempt in range(4 * KILLS):
        publisher = start_publisher(sources[attempt % 4], base)
        publisher.join(generator.uniform(0, whole_run))
        publisher.kill()
        publisher.join()
        killed += publisher.exitcode != 0
        found += publisher.exitcode != 0 and half_done()
        if killed == KILLS:
            return found
    raise AssertionError(f"only {killed} were killed before they had ended")
