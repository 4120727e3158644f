"""Training states, snapshots and averages in a bucket, by TensorFlow's own file system for Cloud Storage."""

import os
import subprocess
import sys

import pytest

from tests.gcs_emulator import BUCKET
from tests.gcs_proxy import GcsProxy


@pytest.mark.slow
def test_nothing_needs_a_local_disk(gcs, tmp_path):
    command = [sys.executable, "-m", "tests.trainer.remote_files", f"gs://{BUCKET}/run"]
    with GcsProxy(gcs, tmp_path) as proxy:
        subprocess.run(command, env={**os.environ, **proxy.environment}, check=True)
    names = {name for name in gcs.contents("run/") if name and not name.endswith("/")}
    assert {name.partition("/")[0] for name in names} == {"snapshots", "state", "model"}
    assert not [name for name in names if "tempstate" in name]
