"""TensorProto to numpy and back, as strict as TensorFlow Serving."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_CPP_NAMES = {"float16": "half", "float32": "float", "float64": "double"}

MAX_ELEMENTS = 2**28
"""A few bytes can declare a tensor of any size (one value fills it): more than 256 Mi elements are
refused."""


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array that a TensorProto holds (strings as bytes objects).

    Raises:
        ValueError: If its type, shape and content do not fit together.
    """
    if proto.tensor_shape.unknown_rank or any(dim.size < 0 for dim in proto.tensor_shape.dim):
        raise ValueError("the shape is not known")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError("the shape is too big")
    try:
        if proto.dtype == tf.string.as_datatype_enum and len(proto.string_val) == math.prod(shape):
            # The usual case, ten times as fast as the general one.
            array = np.empty(len(proto.string_val), dtype=object)
            array[:] = proto.string_val
            return array.reshape(shape)
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, OverflowError, IndexError, MemoryError) as error:
        raise ValueError(str(error)) from None


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """The TensorProto of an array."""
    return tf.make_tensor_proto(array)


def dtype_name(enum: int) -> str:
    """TensorFlow's C++ name of a type, which is the one in error texts: float, double, int64, string ..."""
    name = tf.dtypes.as_dtype(enum).name
    return _CPP_NAMES.get(name, name)
