import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

from serving.base import predict_messages as wire


@settings(max_examples=100)
@given(
    st.text(max_size=200),
    st.lists(st.binary(max_size=300) | st.just(bytes(20_000)), max_size=200),
    st.integers(0, 2**63 - 1) | st.none() | st.text(min_size=1),
    st.lists(st.text(), max_size=3),
)
def test_requests_are_those_of_the_api(text, values, version, outputs):
    is_label = isinstance(version, str)
    choice = wire.ModelChoice(
        name=text, version=None if is_label else version, label=version if is_label else None
    )
    request = predict_pb2.PredictRequest.FromString(wire.string_request(choice, text, values, outputs))
    expected = predict_pb2.PredictRequest(model_spec={"name": text}, output_filter=outputs)
    if is_label:
        expected.model_spec.version_label = version
    elif version is not None:
        expected.model_spec.version.value = version
    tensor = TensorProto(dtype=wire.DT_STRING, string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    expected.inputs[text].CopyFrom(tensor)
    assert request == expected


def response(**tensors):
    message = predict_pb2.PredictResponse()
    for alias, tensor in tensors.items():
        message.outputs[alias].CopyFrom(tensor)
    return wire.PredictResponse.FromString(message.SerializeToString())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3) - 3,
        np.float32([[0.25, -1.5]]),
        np.float32([[7.0]]),
        np.zeros((0, 20), np.float32),
        np.zeros((2, 3), np.float32),
    ],
)
def test_outputs_are_read_in_both_forms(array):
    content = tf.make_tensor_proto(array)
    fields = TensorProto(dtype=content.dtype, tensor_shape=content.tensor_shape)
    values = fields.int64_val if array.dtype == np.int64 else fields.float_val
    values.extend(array.ravel().tolist())
    for tensor in (content, fields):
        read = wire.output_array(response(z=tensor), "z")
        np.testing.assert_array_equal(read, array)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)


def test_strings_are_read_as_bytes():
    array = np.array([[b"Game", b"\xff"], [b"", b"Car"]], object)
    read = wire.output_array(response(z=tf.make_tensor_proto(array)), "z")
    assert read.tolist() == array.tolist()


def test_one_value_fills_a_tensor():
    tensor = TensorProto(dtype=wire.DT_FLOAT, float_val=[0.5])
    for size in (2, 3):
        tensor.tensor_shape.dim.add(size=size)
    np.testing.assert_array_equal(wire.output_array(response(z=tensor), "z"), np.full((2, 3), 0.5))


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"y": np.float32([1])}, "no output 'z'"),
        ({"z": np.float64([1])}, "type number 2"),
        ({"z": TensorProto(dtype=wire.DT_FLOAT, float_val=[1, 2])}, "reshape"),
    ],
)
def test_other_answers_are_refused(tensors, text):
    made = {
        alias: tensor if isinstance(tensor, TensorProto) else tf.make_tensor_proto(tensor)
        for alias, tensor in tensors.items()
    }
    with pytest.raises(ValueError, match=text):
        wire.output_array(response(**made), "z")


def test_the_client_does_without_tensorflow():
    code = "import sys, serving.client.client; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
