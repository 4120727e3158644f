import os
import shutil
from pathlib import Path

import pytest

from components.baseline import served
from components.baseline.served import copy_served_model
from serving import model_store
from tests.serving.test_model_store import write_model
from trainer.errors import UserError


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


def test_a_version_deleted_while_it_is_copied_is_not_handed_out(tmp_path, monkeypatch):
    base = str(tmp_path / "served")
    for content in (b"a", b"b"):
        model_store.publish(write_model(tmp_path / content.decode(), content), base)
    copy_tree = served.copy_tree

    def delete_meanwhile(source, target, link):
        if source.endswith("2"):
            os.unlink(os.path.join(source, "saved_model.pb"))
            (Path(target) / "half").write_bytes(b"")
            raise FileNotFoundError(source)
        return copy_tree(source, target, link)

    monkeypatch.setattr(served, "copy_tree", delete_meanwhile)
    assert copy_served_model(base, str(tmp_path / "copy")) == 1
    assert (tmp_path / "copy" / "saved_model.pb").read_bytes() == b"graph of a"
    assert not (tmp_path / "copy" / "half").exists()


def test_addresses_with_a_scheme_are_refused(tmp_path):
    with pytest.raises(UserError, match="gs://"):
        copy_served_model("gs://bucket/yt8m", str(tmp_path / "copy"))
