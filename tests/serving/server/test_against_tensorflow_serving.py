"""The client, `predict` and `infer` against a server that answers as TensorFlow Serving does, and has nothing else.

Source: tensorflow/serving 2.16, predict_util.cc (tensors as typed fields, the signature's name in the answer), and
server_core.cc (versions and labels). It has no health service, and knows no field that is not in its protos.
"""

import json
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.unknown_fields import UnknownFieldSet
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client.client import PredictClient
from tests.pipeline.verbs import run
from tests.records import random_example
from trainer.base.errors import UserError
from trainer.data.records import parse_video
from trainer.data.tfrecord import write_tfrecords

VERSIONS, LABELS = (3, 5), {"stable": 3}
CLASSES = np.arange(20)


class TensorFlowServing(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A video scores its version / (10 + class) x its number of frames / 300."""

    def Predict(self, request, context):  # noqa: N802
        for message in (request, request.model_spec, *request.inputs.values()):
            assert len(UnknownFieldSet(message)) == 0
        spec = request.model_spec
        choice, invalid = spec.WhichOneof("version_choice"), grpc.StatusCode.INVALID_ARGUMENT
        if choice == "version_label" and spec.version_label not in LABELS:
            context.abort(invalid, f"Unrecognized servable version label: {spec.version_label}")
        version = (
            LABELS[spec.version_label] if choice == "version_label" else spec.version.value or max(VERSIONS)
        )
        if spec.name != "yt8m" or version not in VERSIONS:
            wanted = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        assert set(request.inputs) == {"examples"}
        examples = request.inputs["examples"]
        assert examples.dtype == tf.string.as_datatype_enum
        assert [dim.size for dim in examples.tensor_shape.dim] == [len(examples.string_val)]
        frames = np.array([parse_video(record).num_frames for record in examples.string_val])
        rows = np.tile(CLASSES, (len(frames), 1))
        outputs = {
            "classes": TensorProto(dtype=9, int64_val=rows.ravel().tolist()),
            "scores": TensorProto(
                dtype=1, float_val=np.outer(frames / 300, version / (10 + CLASSES)).ravel()
            ),
            "labels": TensorProto(dtype=7, string_val=[b"Game %d" % index for index in rows.ravel()]),
        }
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = spec.name, "serving_default"
        response.model_spec.version.value = version
        for alias in request.output_filter or outputs:
            if alias not in outputs:
                context.abort(invalid, f"output tensor alias not found in signature: {alias}")
            for size in rows.shape:
                outputs[alias].tensor_shape.dim.add(size=size)
            response.outputs[alias].CopyFrom(outputs[alias])
        return response


@pytest.fixture(scope="module")
def target():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(TensorFlowServing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture(scope="module")
def examples():
    generator = np.random.default_rng(0)
    return [random_example(generator, count, video_id=b"v%d" % count) for count in (3, 1, 5)]


@pytest.mark.parametrize(
    ("chosen", "version"),
    [({}, 5), ({"version": 3}, 3), ({"version": 5}, 5), ({"version_label": "stable"}, 3)],
)
def test_predictions_of_a_version(target, examples, chosen, version):
    with PredictClient(target, **chosen) as client:
        classes, scores = client.predict(examples)
        named = client.predict_named(examples)
    np.testing.assert_array_equal(classes, np.tile(CLASSES, (3, 1)))
    np.testing.assert_allclose(scores, np.outer([0.01, 1 / 300, 1 / 60], version / (10 + CLASSES)), rtol=1e-6)
    np.testing.assert_array_equal(named[1], scores)
    assert named[2].tolist() == [[b"Game %d" % index for index in CLASSES]] * 3


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"version": 4}, "NOT_FOUND: the server does not have this model"),
        ({"model_name": "m"}, "Latest.m."),
        ({"version_label": "canary"}, "Unrecognized servable version label: canary"),
    ],
)
def test_what_is_not_there(target, examples, chosen, text):
    with PredictClient(target, **chosen) as client, pytest.raises(UserError, match=text):
        client.predict(examples)


def test_the_command_line(target, examples, tmp_path):
    path, out = str(tmp_path / "v.tfrecord"), str(tmp_path / "s.csv")
    write_tfrecords(path, examples)

    first = json.loads(run("predict", path, "--target", target, "--limit", "1", "--json"))["videos"][0]
    assert first["classes"][0] == {"class": 0, "name": "Game 0", "score": pytest.approx(0.005)}
    labelled = ("--target", target, "--version-label", "stable")
    assert run("predict", path, *labelled).splitlines()[1].split() == ["0.0030", "0", "Game", "0"]
    run("infer", "--data", path, "--out", out, *labelled)
    assert (tmp_path / "s.csv").read_text().splitlines()[1].startswith("v3,0 0.003 1 0.00272727 ")
