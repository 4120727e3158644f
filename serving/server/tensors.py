"""TensorProto to numpy and back, as strict as TensorFlow Serving."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_CPP_NAMES = {"float16": "half", "float32": "float", "float64": "double"}

MAX_BYTES = 256 * 2**20
"""Of one tensor: about 700 videos of 300 frames."""

MAX_RANK = 32
"""Most dimensions of a tensor. NumPy 2 knows 64, but with it TensorFlow's conversion of an array of strings that has
more than 32 ends the process."""

_STRING_BYTES = 32
"""Of a string tensor's element, besides its characters: a pointer here and a tstring in TensorFlow."""


def to_array(proto: tensor_pb2.TensorProto, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array that a TensorProto holds (strings as bytes objects).

    Args:
        proto: From anybody.
        max_bytes: Of the array; a few bytes can declare one of any size, since a single value fills a tensor.

    Raises:
        ValueError: If its type, shape and content do not fit together, or it is too large.
    """
    if len(proto.tensor_shape.dim) > MAX_RANK:
        raise ValueError(f"the tensor has {len(proto.tensor_shape.dim)} dimensions, more than {MAX_RANK}")
    if proto.tensor_shape.unknown_rank or any(dim.size < 0 for dim in proto.tensor_shape.dim):
        raise ValueError("the shape is not known")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    elements = math.prod(shape)
    try:
        is_string = proto.dtype == tf.string.as_datatype_enum
        dtype = np.dtype(tf.dtypes.as_dtype(proto.dtype).as_numpy_dtype)
        if elements * (_STRING_BYTES if is_string else dtype.itemsize) > max_bytes:
            raise ValueError("the tensor is too large")
        if is_string and len(proto.string_val) == elements:
            # The usual case, ten times as fast as the general one.
            array = np.empty(elements, dtype=object)
            array[:] = proto.string_val
            return array.reshape(shape)
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError, OverflowError, IndexError, MemoryError) as error:
        raise ValueError(str(error)) from None


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """The TensorProto of an array."""
    return tf.make_tensor_proto(array)


def dtype_name(enum: int) -> str:
    """TensorFlow's C++ name of a type, which is the one in error texts: float, double, int64, string ..."""
    name = tf.dtypes.as_dtype(enum).name
    return _CPP_NAMES.get(name, name)
