"""``yt8m monitor`` on the command line, against a server."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.example_gen.kept_check import checked
from components.pusher.files import REFERENCE_FILE
from serving.server.server import PredictionServer
from serving.store.model_store import publish, version_path
from tests.pipeline.verbs import run
from tests.records import random_example
from trainer.base.errors import OutsideError, UserError
from trainer.data.tfrecord import write_tfrecords

pytest_plugins = "tests.pipeline.serving_fixtures"
pytestmark = pytest.mark.slow


@pytest.fixture
def served(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> str:
    """A directory of versions, whose model says that it was trained on `records`."""
    trained = checked(records[0], 3862, str(tmp_path / "checked")).distribution.document()
    made = str(tmp_path / "served")
    extra = {REFERENCE_FILE: json.dumps({"trained": trained}).encode()}
    publish(version_path(base, 2), made, extra)
    return made


def test_what_was_trained_on_shows_none_and_other_videos_are_named(
    served: str, records: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    path, _ = records
    other = str(tmp_path / "other.tfrecord")
    generator = np.random.default_rng(1)
    write_tfrecords(other, [random_example(generator, 70, (5,), b"o%02d" % number) for number in range(40)])
    with PredictionServer(served, port=0) as server:
        asked = ["monitor", "--target", f"127.0.0.1:{server.port}", "--model", served, "--data"]
        same = json.loads(run(*asked, path, "--json"))
        assert (same["videos"], same["served_videos"], same["served_version"]) == (40, 40, 1)
        assert [one["name"] for one in same["measures"]] == [
            "classes",
            "labels_per_video",
            "frames",
            "features",
        ]
        assert all(one["value"] == pytest.approx(0, abs=1e-6) for one in same["measures"])
        told = run(*asked, other)
        assert "40 videos against the 40 of version 1" in told
        lines = {line.split()[0]: line.split()[-1] for line in told.splitlines()[1:]}
        assert (lines["frames"], lines["classes"]) == ("DRIFT", "DRIFT")
        with pytest.raises(OutsideError, match=r"the new videos differ .*frames"):
            run(*asked, other, "--fail")


def test_what_is_wrong_is_said_in_a_line(base: str, served: str, records: tuple[str, list[bytes]]) -> None:
    path, _ = records
    with pytest.raises(UserError, match="is not a model of this project"):
        run("monitor", "--model", base, "--data", path)
    for text in ("frames", "nothing=1", "frames=-1", "frames=x", "frames=nan"):
        with pytest.raises(UserError, match=r"--threshold is MEASURE=VALUE .*scores"):
            run("monitor", "--model", served, "--data", path, "--threshold", text)
