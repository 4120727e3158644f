"""The contract that every codec keeps: add one's name here, and it is tested."""

import numpy as np
import pytest
import tensorflow as tf

from serving.export.codecs import CODECS, FLOAT16, FLOAT32
from serving.export.decoded_tensor import DecodedTensor
from tests.tiny_family import Columns
from trainer.base.errors import UserError

SHAPES = [(6, 5), (1, 1), (7,), (1, 16, 3), (130, 33), (32, 7)]
ERROR = {
    "float32": 0.0,
    "float16": 1e-3,
    "Columns-L127": 0.02,
    "int8": 0.02,
    "int4-b32": 0.25,
    "int4-b64": 0.25,
    "int4-b128": 0.25,
    "lowrank-r64-float16": 5e-3,
    "lowrank-r64-int8": 0.1,
    "sparse-k100-float16": 1e-3,
    "sparse-k100-int4-b32": 0.25,
    "lowrank-r64-sparse-k100-int8": 0.1,
}
"""Largest error over the largest of about normal values: with all directions and all weights kept."""
NAMES = list(ERROR)


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def test_every_codec_is_tested():
    assert {type(CODECS.parse(name)) for name in NAMES} == set(CODECS.kinds)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_that_of_its_codec(name):
    assert CODECS.parse(name).name == name
    assert CODECS.parse(name) == CODECS.parse(name)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_parts_are_as_laid_out_and_decode_to_the_values(name, shape):
    codec, array = CODECS.parse(name), values(shape)
    parts = codec.encode(array)
    assert {part: (value.shape, value.dtype.name) for part, value in parts.items()} == {
        part: (spec.shape, spec.dtype) for part, spec in codec.layout(shape).items()
    }
    assert codec.stored_bytes(shape) == sum(value.nbytes for value in parts.values())
    decoded = codec.decode(parts, shape)
    assert (decoded.shape, decoded.dtype) == (shape, np.float32)
    assert np.abs(decoded - array).max() <= ERROR[name] * max(1.0, np.abs(array).max())
    again = codec.encode(array)
    assert all(np.array_equal(again[part], value) for part, value in parts.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_decodes_the_same_values_once_at_load(name, tmp_path):
    codec, array = CODECS.parse(name), values((9, 4))
    parts = codec.encode(array)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.stored = {part: tf.Variable(value, trainable=False) for part, value in parts.items()}
            self.decoded = DecodedTensor(codec, self.stored, array.shape, f"test/{name}")

        @tf.function(input_signature=[])
        def read(self):
            return self.decoded.read()

    tf.saved_model.save(Model(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.read(), codec.decode(parts, array.shape))
    # What the calibrated rounding stores is decoded in the same way, and so is what no input ever reaches.
    for statistics in (np.eye(9)[np.newaxis], np.zeros((1, 9, 9)), np.stack([np.eye(4)] * 3)):
        again = codec.encode(array, statistics.astype(np.float32))
        assert {part: (value.shape, value.dtype) for part, value in again.items()} == {
            part: (value.shape, value.dtype) for part, value in parts.items()
        }
        assert np.isfinite(codec.decode(again, array.shape)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "float32"])
def test_a_value_without_a_stored_form_is_refused(name):
    array = values((6, 5))
    array[3, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        CODECS.parse(name).encode(array)


def test_names_of_no_codec_are_refused_with_the_nearest():
    assert CODECS.parse("float16") == FLOAT16
    assert CODECS.parse("float32") == FLOAT32
    assert CODECS.parse("Columns-L7") == Columns(7)
    with pytest.raises(UserError, match=r"a codec is written like Columns-L7. Received: 'columns-l7'"):
        CODECS.parse("columns-l7")
    with pytest.raises(UserError, match="like float16"):
        CODECS.parse("flaot16")
    with pytest.raises(UserError, match="like int4-b64"):
        CODECS.parse("int4_b64")
    with pytest.raises(UserError, match="like lowrank-r16-int8"):
        CODECS.parse("lowrank-r16-int7")
    with pytest.raises(UserError, match="kept must be at most 100"):
        CODECS.parse("sparse-k101-int8")
