"""Training states, snapshots and averages elsewhere than on a local disk."""

import os
import subprocess
import sys
import uuid

import pytest

from tests.gcs_emulator import BUCKET
from tests.gcs_proxy import GcsProxy
from tests.trainer.remote_files import exercise


def test_nothing_needs_a_local_disk():
    exercise(f"ram://{uuid.uuid4().hex}")


@pytest.mark.slow
def test_cloud_storage_as_tensorflow_sees_it(gcs, tmp_path):
    command = [sys.executable, "-m", "tests.trainer.remote_files", f"gs://{BUCKET}/run"]
    with GcsProxy(gcs, tmp_path) as proxy:
        subprocess.run(command, env={**os.environ, **proxy.environment}, check=True)
    names = {name for name in gcs.contents("run/") if not name.endswith("/")}
    assert {name.partition("/")[0] for name in names} == {"snapshots", "state", "model"}
    assert not [name for name in names if "tempstate" in name]
