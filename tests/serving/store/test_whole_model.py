"""A damaged SavedModel is refused in one line by whoever reads it, and never gives other numbers."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from components.baseline.served import copy_served_model
from serving.export.saved_model import read_weights, write_saved_model
from serving.inference.local_predictor import LocalPredictor
from serving.inference.scoring import SavedModelScorer
from serving.server.models.warmup import write_warmup
from serving.server.server import PredictionServer
from serving.store.manifest import MANIFEST
from serving.store.model_store import publish
from serving.store.whole_model import check_model, explained
from tests.records import random_example
from tests.serving.export.test_saved_model import make_member
from tests.trainer.damage import damages
from trainer.base.errors import UserError

CLASSES = 40
GRAPH, INDEX = "saved_model.pb", "variables/variables.index"
DATA = "variables/variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("model") / "saved"
    write_saved_model(str(directory), [make_member("K2-H4", 1, 0.7), make_member("K2-H3", 2, 0.3)], CLASSES)
    return directory


@pytest.fixture
def copy(model, tmp_path):
    return Path(shutil.copytree(model, tmp_path / "copy"))


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.unlink()  # it may be a link
    path.write_bytes(content)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def read_all_weights(directory: str) -> None:
    for member in (0, 1):
        read_weights(directory, member)


@settings(max_examples=150)
@given(damage=damages)
def test_damage_anywhere_is_found(model, damage):
    expected = read_weights(str(model), 1)
    files = sorted(path for path in model.rglob("*") if path.is_file())
    with damage.done_to(files) as path:
        try:
            check_model(str(model), weights=True)
        except UserError:
            return
        # In bytes that say nothing: the padding of the index, or a line that the manifest has lost.
        assert path.name in (MANIFEST, "variables.index")
        for name, value in read_weights(str(model), 1).items():
            np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    ("name", "damage"),
    [(GRAPH, flip), (GRAPH, cut), (INDEX, flip), (INDEX, cut), (DATA, flip), (DATA, cut)]
    + [(name, os.unlink) for name in (GRAPH, INDEX, DATA)]
    + [("assets.extra/card.json", flip)],
)
@pytest.mark.parametrize("read", [SavedModelScorer, LocalPredictor, read_all_weights])
def test_whoever_reads_it_names_the_file(copy, read, name, damage):
    damage(copy / name)
    with pytest.raises(UserError, match=r"saved_model.pb|variables|card.json|has no model") as caught:
        read(str(copy))
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_without_a_manifest_is_read_and_its_weights_are_verified(copy):
    (copy / MANIFEST).unlink()
    check_model(str(copy), weights=True)
    flip(copy / DATA)
    for read in (SavedModelScorer, LocalPredictor):
        with pytest.raises(UserError, match=r"does not load|cannot read"):
            read(str(copy))
    with pytest.raises(UserError, match=r"variables.data-00000-of-00001: tensor .* is damaged"):
        check_model(str(copy), weights=True)


def test_what_is_added_to_a_model_does_no_harm(copy):
    write_warmup(str(copy))
    (copy / "note").write_text("of whoever looked at it")
    check_model(str(copy), weights=True)


@pytest.mark.parametrize("address", ["/no/such/model", "nowhere://models/m"])
def test_what_is_no_model_is_the_users_error(address):
    with pytest.raises(UserError, match="give the directory of an export, or of versions of one"):
        check_model(address)


def test_a_lack_of_memory_is_no_damage(copy):
    with pytest.raises(tf.errors.ResourceExhaustedError), explained(str(copy)):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("name", [GRAPH, DATA])
def test_the_baseline_is_what_was_published(model, tmp_path, name):
    published = Path(publish(str(model), str(tmp_path / "served")).path)
    flip(published / name)
    with pytest.raises(UserError, match=rf"{name} in .*/1 is not what was published: delete this version"):
        copy_served_model(str(tmp_path / "served"), str(tmp_path / "baseline"))
    (published / MANIFEST).unlink()
    if name == DATA:
        with pytest.raises(UserError, match=r"is damaged .*; export or push the model again"):
            copy_served_model(str(tmp_path / "served"), str(tmp_path / "baseline"))


def test_a_server_does_not_take_a_version_with_a_flipped_bit(model, tmp_path):
    base = tmp_path / "served"
    flip(Path(publish(str(model), str(base)).path) / GRAPH)
    with pytest.raises(
        UserError, match=r"version 1 .* does not load \(saved_model.pb in .* is not what was published"
    ):
        PredictionServer(str(base), port=0).start()


def test_a_whole_model_answers(copy):
    example = random_example(np.random.default_rng(0), 3)
    classes, _ = LocalPredictor(str(copy)).predict([example])
    assert classes.shape == (1, 20)
