"""What becomes of tensors that anybody may send."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework.tensor_pb2 import TensorProto

from serving.server import tensors
from tests.serving.api import pair, predict_request

_ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.int64, np.uint8, np.float64]), hnp.array_shapes(min_dims=0, max_side=4)
)


@given(_ARRAYS)
def test_an_array_comes_back_as_it_was(array):
    back = tensors.to_array(tensors.to_proto(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_strings_come_back_as_they_were(values):
    assert tensors.to_array(tensors.to_proto(np.array(values, object))).tolist() == values


def of_rank(rank, dtype, sizes=1, **values):
    proto = TensorProto(dtype=dtype.as_datatype_enum, **values)
    for _ in range(rank):
        proto.tensor_shape.dim.add(size=sizes)
    return proto


@given(
    rank=st.integers(0, 300),
    size=st.sampled_from([0, 1]),
    value=st.sampled_from([(tf.string, {"string_val": [b"x"]}), (tf.float32, {"float_val": [1.0]})]),
)
def test_a_rank_above_32_never_becomes_an_array(rank, size, value):
    dtype, values = value
    proto = of_rank(rank, dtype, size, **(values if size else {}))
    if rank > 32:
        with pytest.raises(ValueError, match=f"{rank} dimensions, more than 32"):
            tensors.to_array(proto)
    else:
        assert tensors.to_array(proto).shape == (size,) * rank


@pytest.mark.parametrize("rank", [33, 64, 65, 254, 255])
def test_a_remote_client_that_sends_one_is_refused(stubs, rank):
    strings, floats = (
        predict_request(examples=of_rank(rank, tf.string, string_val=[b"x"])),
        predict_request("add", **pair(a=of_rank(rank, tf.float32, float_val=[1.0]))),
    )
    for request, alias in ((strings, "examples"), (floats, "a")):
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(request)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert raised.value.details() == f"tensor parsing error: {alias}"
