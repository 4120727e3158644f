import pytest

from components.pusher.push import push
from serving.store.model_store import list_versions
from tests.serving.store.model_files import write_model
from trainer.base.errors import UserError


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model")


@pytest.mark.parametrize(
    ("blessings", "reason"),
    [
        ({"A": False, "B": True}, "not blessed by A"),
        ({"A": True, "B": False}, "not blessed by B"),
        ({"A": False, "B": False}, "not blessed by A and B"),
    ],
)
def test_every_judge_has_to_bless(tmp_path, model, blessings, reason):
    base = str(tmp_path / "served")
    assert push(model, base, blessings, "card").document() == {
        "pushed": False,
        "version": None,
        "destination": None,
        "reason": reason,
        "model_card": "card",
    }
    assert list_versions(base) == []


def test_a_blessed_model_is_pushed_once(tmp_path, model):
    base = str(tmp_path / "served")
    first, second = (push(model, base, {"A": True, "B": True}, "card").document() for _ in range(2))
    assert first == {
        "pushed": True,
        "version": 1,
        "destination": str(tmp_path / "served" / "1"),
        "reason": "pushed as version 1",
        "litert": None,
        "model_card": "card",
    }
    assert second == {**first, "reason": "the same content is served already, as version 1"}
    assert list_versions(base) == [1]


def test_a_bucket_is_pushed_to_like_a_directory(gcs, model):
    result = push(model, "gs://bucket/yt8m", {"A": True}, "card")
    assert (result.version, result.destination) == (1, "gs://bucket/yt8m/1")
    assert list_versions("gs://bucket/yt8m") == [1]


@pytest.mark.parametrize("address", ["s3://bucket/yt8m", "gs://nowhere/yt8m"])
def test_destinations_that_cannot_be_are_named(gcs, model, address):
    with pytest.raises(UserError, match=address):
        push(model, address, {"A": True}, "card")
