"""Requests that are large, or that declare to be: each would cost a careless server gigabytes."""

from collections.abc import Callable

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from tests.serving.api import predict_request
from trainer.data.encoding import encode_frame_values, sequence_example

MEGABYTE = 10**6
OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT


def _filled(dtype: tf.DType, *sizes: int, **fields: object) -> TensorProto:
    """A tensor of any size in a few bytes."""
    tensor = TensorProto(dtype=dtype.as_datatype_enum, **fields)
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def _frames(rgb: TensorProto, *shape: int) -> PredictRequest:
    audio = _filled(tf.uint8, *shape, 128, int_val=[1])
    count = _filled(tf.int32, shape[0], int_val=[shape[1]])
    return predict_request("predict_frames", model="yt8m", rgb=rgb, audio=audio, num_frames=count)


def _strings(count: int, *sizes: int) -> PredictRequest:
    tensor = _filled(tf.string, *sizes)
    tensor.string_val.extend([b""] * count)
    return predict_request(model="yt8m", examples=tensor)


def _examples(*records: bytes) -> PredictRequest:
    return predict_request(model="yt8m", examples=tf.make_tensor_proto(list(records), tf.string))


def _many_frames(frame: bytes, sound: bytes, count: int) -> bytes:
    rgb, audio = (encode_frame_values([value]) * count for value in (frame, sound))
    return sequence_example(b"id", (), rgb, audio)


def _floats(*sizes: int) -> PredictRequest:
    tensor = _filled(tf.float32, *sizes, float_val=[1.5])
    return predict_request("add", model="m", a=tensor, b=tensor)


def _many_inputs() -> PredictRequest:
    request = predict_request(model="yt8m")
    for number in range(200_000):
        request.inputs[f"{number}"].dtype = 1
    return request


GOOD = _many_frames(b"r" * 1024, b"a" * 128, 1)

HUGE: dict[str, tuple[Callable[[], PredictRequest], grpc.StatusCode]] = {
    "a record of 100 MB": (lambda: _examples(b"x" * 100 * MEGABYTE), INVALID),
    "a name of 100 MB": (lambda: predict_request(model="é" * 50 * MEGABYTE), grpc.StatusCode.NOT_FOUND),
    "four million strings": (lambda: _strings(4_000_000, 4_000_000), INVALID),
    "four million strings in a tensor of one": (lambda: _strings(4_000_000, 1), INVALID),
    "a string for 268 million": (lambda: _strings(1, 2**28), INVALID),
    "a float for 268 million": (lambda: _floats(2**28), INVALID),
    "dimensions that overflow": (lambda: _floats(2**62, 2**62, 0), INVALID),
    "a dimension that makes nothing of the others": (lambda: _floats(0, 2**31, 2**31), INVALID),
    "65 videos, one more than allowed": (lambda: _frames(_filled(tf.uint8, 65, 1, 1024), 65, 1), INVALID),
    "64 videos of 1,500 frames": (
        lambda: _frames(tf.make_tensor_proto(np.ones((64, 1500, 1024), np.uint8)), 64, 1500),
        OK,
    ),
    "64 videos of 2,000 frames in a few bytes": (
        lambda: _frames(_filled(tf.uint8, 64, 2000, 1024, int_val=[7]), 64, 2000),
        OK,
    ),
    "a video of 80,000 frames": (lambda: _examples(_many_frames(b"r" * 1024, b"a" * 128, 80_000)), OK),
    "a video of 400,000 empty frames among others": (
        lambda: _examples(_many_frames(b"", b"", 400_000), *[GOOD] * 63),
        INVALID,
    ),
    "a video with 40 MB in each of two frames among others": (
        lambda: _examples(_many_frames(b"r" * 40 * MEGABYTE, b"a" * 128, 2), *[GOOD] * 63),
        INVALID,
    ),
    "200,000 inputs": (_many_inputs, INVALID),
}
"""Request and what it is answered with, by what it is."""
