import os
import shutil
from pathlib import Path

import pytest

from components.baseline.served import check_served_model, copy_served_model, hand_out
from serving.store import model_store
from serving.store.gcs_store import GcsStore
from serving.store.local_store import LocalStore
from tests.serving.store.model_files import write_model
from tests.serving.tiny_model import write_tiny_model
from trainer.base.errors import UserError


def test_nothing_served_is_no_model(tmp_path):
    assert copy_served_model(str(tmp_path / "none"), str(tmp_path / "copy")) is None
    (tmp_path / "empty").mkdir()
    assert copy_served_model(str(tmp_path / "empty"), str(tmp_path / "copy")) is None
    assert not (tmp_path / "copy").exists()


def test_the_copy_is_the_newest_version_and_outlives_it(tmp_path):
    base = str(tmp_path / "served")
    for content in (b"a", b"b"):
        model_store.publish(write_model(tmp_path / content.decode(), content), base)
    copy = tmp_path / "artifact" / "Format-Serving"
    assert copy_served_model(base, str(copy)) == 2
    shutil.rmtree(os.path.join(base, "2"))
    assert (copy / "saved_model.pb").read_bytes() == b"graph of b"
    assert (copy / "variables" / "variables.data-00000-of-00001").read_bytes() == b"b"


@pytest.mark.parametrize("place", ["local", "gs"])
def test_a_version_deleted_while_it_is_copied_is_not_handed_out(tmp_path, request, monkeypatch, place):
    if place == "local":
        base, kind = str(tmp_path / "served"), LocalStore
    else:
        request.getfixturevalue("gcs")
        base, kind = "gs://bucket/served", GcsStore
    for content in (b"a", b"b"):
        model_store.publish(write_model(tmp_path / content.decode(), content), base)
    copy = kind.copy

    def delete_meanwhile(self, version, target):
        if version == 2:
            model_store.delete(base, 2, force=True)
            (Path(target) / "half").write_bytes(b"")
        copy(self, version, target)

    monkeypatch.setattr(kind, "copy", delete_meanwhile)
    assert copy_served_model(base, str(tmp_path / "copy")) == 1
    assert not (tmp_path / "copy" / "half").exists()
    assert not (tmp_path / "copy" / "manifest.sha256").exists()
    assert (tmp_path / "copy" / "saved_model.pb").read_bytes() == b"graph of a"


def test_where_nothing_can_be_pushed_is_said_before_the_training(tmp_path, gcs):
    for base, reason in (
        ("/proc/served", "/proc/served cannot be written to"),
        ("gs://other/x", "no bucket"),
    ):
        with pytest.raises(UserError, match=reason):
            hand_out(base, str(tmp_path / "copy"))
    assert hand_out("gs://bucket/served", str(tmp_path / "copy")) is None
    assert gcs.contents("") == {}


def test_addresses_with_other_schemes_are_refused(tmp_path):
    with pytest.raises(UserError, match="s3://"):
        copy_served_model("s3://bucket/yt8m", str(tmp_path / "copy"))


@pytest.mark.parametrize("place", ["local", "gs"])
def test_a_served_version_that_nothing_can_be_compared_with_is_named(tmp_path, request, place):
    if place == "local":
        base = str(tmp_path / "served")
    else:
        request.getfixturevalue("gcs")
        base = "gs://bucket/served"
    assert check_served_model(base) is None
    model_store.publish(write_tiny_model(str(tmp_path / "good")), base)
    assert check_served_model(base) == 1
    with pytest.raises(
        UserError, match=r"it has 30 classes, and data\.num_classes is 20 .set that one to the same"
    ):
        hand_out(base, str(tmp_path / "copy"), 20)
    model_store.publish(write_model(tmp_path / "bad"), base)
    with pytest.raises(
        UserError, match=rf"^version 2 of {base} is served, .* it is damaged: .*rollback {base}"
    ):
        check_served_model(base)
