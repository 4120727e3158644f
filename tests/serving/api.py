"""The raw gRPC API, as tests of the server call it."""

import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

WAIT = 60.0
"""Seconds after which a test gives up on another thread; none waits as long when all is well."""


class Stubs:
    """The raw API, as any client of TensorFlow Serving would call it."""

    def __init__(self, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)


def predict_request(signature="", outputs=(), model="m", version=None, **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(
            value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        )
    return request


def pair(**changed):
    return {"a": np.float32([1, 2]), "b": np.float32([3, 4]), **changed}


def states(stubs, timeout=WAIT, **spec):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = spec.pop("name", "m")
    if spec:
        request.model_spec.version.value = spec.pop("version")
    state_name = get_model_status_pb2.ModelVersionStatus.State.Name
    return [
        (status.version, state_name(status.state))
        for status in stubs.model.GetModelStatus(request, timeout=timeout).model_version_status
    ]


def wait_until(condition):
    """Polls a condition that another thread is to make true."""
    give_up = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < give_up
