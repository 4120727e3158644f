"""Cards of every version: `card_version_1.json` was written by the code of before cards had a version."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.export.card import SCHEMA_VERSION, ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_stored, read_weights, write_saved_model
from serving.inference.scoring import SavedModelScorer
from trainer.base.errors import UserError
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

VERSION_1 = Path(__file__).with_name("card_version_1.json")
SPEC = ModelSpec.parse("K2-H2-M2", 12)


def put_card(directory, content):
    place = directory / "assets.extra"
    place.mkdir(parents=True, exist_ok=True)
    (place / "card.json").write_text(content if isinstance(content, str) else json.dumps(content))
    (directory / "manifest.sha256").unlink(missing_ok=True)  # which would not fit any more
    return str(directory)


@pytest.fixture(scope="module")
def old_model(tmp_path_factory):
    """A model as it was pushed then: its tensors' places in the checkpoint, one signature, and its card."""
    weights = compress(SPEC, initial_weights(SPEC, 0), FLOAT16)
    module = tf.Module()
    member = tf.Module()
    member.stored = {
        name: tf.Variable(value.parts["values"], trainable=False) for name, value in weights.items()
    }
    module.members = [member]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 1024], tf.uint8, name="rgb"),
            tf.TensorSpec([None, None, 128], tf.uint8, name="audio"),
            tf.TensorSpec([None], tf.int32, name="num_frames"),
        ]
    )
    def frame_predictions(rgb, audio, num_frames):
        counts = tf.sequence_mask(num_frames, tf.shape(rgb)[1], tf.float32)
        cast = {name: tf.cast(variable, tf.float32) for name, variable in member.stored.items()}
        frames = dequantize(tf.concat([rgb, audio], axis=-1))
        return {"predictions": SPEC.architecture.forward(frames, counts, cast)}

    directory = tmp_path_factory.mktemp("old") / "model"
    signatures = {"frame_predictions": frame_predictions, "predictions": frame_predictions}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return put_card(directory, VERSION_1.read_text()), weights


def test_a_card_of_version_1_means_what_it_meant(tmp_path):
    card = ModelCard.load(put_card(tmp_path, VERSION_1.read_text()))
    assert card.spec() == SPEC
    assert (card.num_classes, card.gap, card.members[0].last_step) == (12, 0.5, 20)
    assert card.bytes == card.members[0].bytes == stored_bytes(SPEC, FLOAT16)
    assert {tensor.name for tensor in card.members[0].tensors if tensor.encoding == "float16"} == {
        tensor.name for tensor in SPEC.tensors if tensor.compressible
    }
    card.save(str(tmp_path))
    assert ModelCard.load(str(tmp_path)) == card
    assert card.schema_version == SCHEMA_VERSION


def test_the_paper_s_number_of_mixtures_does_not_show(tmp_path):
    content = json.loads(VERSION_1.read_text()) | {"num_mixtures": 5}
    assert ModelCard.load(put_card(tmp_path, content)).members[0].variant == "K2-H2"


def test_a_model_of_then_is_read_scored_and_built_on(old_model, tmp_path):
    directory, weights = old_model
    stored = read_stored(directory)
    assert stored.keys() == weights.keys()
    for name, value in read_weights(directory).items():
        np.testing.assert_array_equal(value, weights[name].decode())
    new = str(tmp_path / "new")
    card = write_saved_model(new, [Member(spec=ModelCard.load(directory).spec(), weights=stored)])
    assert card.bytes == ModelCard.load(directory).bytes
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 1152), np.uint8)
    answers = []
    for place in (directory, new):
        scorer = SavedModelScorer(place)
        inputs = {"rgb": frames[..., :1024], "audio": frames[..., 1024:], "num_frames": np.int32([3, 2])}
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        answers.append(scorer._of_frames(**inputs)["predictions"].numpy())
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_a_newer_card_is_refused_with_a_clear_message(tmp_path):
    content = {"schema_version": SCHEMA_VERSION + 1, "what": "nobody knows yet"}
    with pytest.raises(
        UserError, match=rf"newer version of yt8m \(card version {SCHEMA_VERSION + 1}.*update"
    ):
        ModelCard.load(put_card(tmp_path, content))


def test_keys_that_are_not_known_are_passed_over(tmp_path):
    content = json.loads(VERSION_1.read_text()) | {"licence": "CC BY 4.0"}
    assert ModelCard.load(put_card(tmp_path, content)).spec() == SPEC


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"num_mixtures": 5, "members": [{}]}', '"text"'])
def test_what_is_no_card_is_refused_in_one_line(tmp_path, content):
    with pytest.raises(UserError, match="cannot be read as a model card") as caught:
        ModelCard.load(put_card(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_codec_that_is_not_known_is_said_when_weights_are_read(tmp_path):
    directory = tmp_path / "model"
    write_saved_model(str(directory), [Member(spec=SPEC, weights=initial_weights(SPEC, 0))])
    content = json.loads((directory / "assets.extra" / "card.json").read_text())
    content["members"][0]["tensors"][3]["encoding"] = "int5-b64"
    put_card(directory, content)
    with pytest.raises(UserError, match=r"a codec is written like .* Received: 'int5-b64'"):
        read_stored(str(directory))
