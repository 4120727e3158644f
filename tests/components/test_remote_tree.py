import os
import uuid

import pytest
import tensorflow as tf

from components.remote_tree import copy_remote_tree, local_tree
from serving.store.model_store import list_versions


@pytest.fixture
def bucket() -> str:
    """A directory on TensorFlow's file system in memory."""
    return f"ram://{uuid.uuid4().hex}/model"


def fill(directory: str) -> None:
    tf.io.gfile.makedirs(f"{directory}/variables")
    for name in ("saved_model.pb", "variables/variables.index"):
        with tf.io.gfile.GFile(f"{directory}/{name}", "w") as file:
            file.write(name)


def content(directory: str) -> dict[str, str]:
    found = {}
    for parent, _, names in tf.io.gfile.walk(directory):
        for name in names:
            with tf.io.gfile.GFile(f"{parent}/{name}") as file:
                found[f"{parent}/{name}"[len(directory) :].strip("/").replace("//", "/")] = file.read()
    return found


EXPECTED = {name: name for name in ("saved_model.pb", "variables/variables.index")}


def test_a_local_directory_is_used_as_it_is(tmp_path) -> None:
    with local_tree(str(tmp_path)) as directory:
        assert directory == str(tmp_path)
    assert tmp_path.exists()


def test_a_remote_one_is_copied_for_as_long_as_it_is_used(bucket) -> None:
    fill(bucket)
    with local_tree(bucket) as directory:
        assert os.path.isabs(directory)
        assert content(directory) == EXPECTED
    assert not os.path.exists(directory)


def test_the_way_back(bucket, tmp_path) -> None:
    fill(str(tmp_path))
    copy_remote_tree(str(tmp_path), bucket)
    assert content(bucket) == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("place", ["local", "gs"])
def test_baseline_and_pusher_work_with_artifacts_in_a_bucket(tmp_path, gcs, place) -> None:
    from tfx.types import standard_artifacts

    from components.baseline.executor import Executor as Baseline
    from components.pusher.executor import Executor as Pusher
    from serving.export.card import ModelCard

    root = f"ram://{uuid.uuid4().hex}"
    served = str(tmp_path / "models") if place == "local" else "gs://bucket/models"

    def artifact(kind, name: str):
        made = kind()
        made.uri = f"{root}/{name}"
        return made

    candidate = artifact(standard_artifacts.Model, "candidate")
    fill(f"{candidate.uri}/Format-Serving")
    ModelCard(num_classes=2, bytes=1, gap=None, members=()).save(f"{candidate.uri}/Format-Serving")
    blessing = artifact(standard_artifacts.ModelBlessing, "blessing")
    blessing.set_int_custom_property("blessed", 1)
    infra = artifact(standard_artifacts.InfraBlessing, "infra")
    infra.set_int_custom_property("blessed", 1)
    inputs = {"model": [candidate], "model_blessing": [blessing], "infra_blessing": [infra]}
    pushed = artifact(standard_artifacts.PushedModel, "pushed")
    properties = {"push_destination": served, "model_name": "yt8m", "data_licence": "CC BY 4.0"}
    Pusher().Do(inputs, {"pushed_model": [pushed]}, properties)
    assert pushed.get_string_custom_property("pushed_version") == "1"
    assert pushed.get_string_custom_property("pushed_destination") == f"{served}/1"
    assert list_versions(served) == [1]

    baseline = artifact(standard_artifacts.Model, "baseline")
    Baseline().Do({}, {"model": [baseline]}, {"push_destination": served})
    assert EXPECTED.items() <= content(f"{baseline.uri}/Format-Serving").items()
