import os
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import model_store
from serving.client import PredictClient
from serving.servable import Servable
from serving.server import PredictionServer
from tests.serving.tiny_model import write_tiny_model
from trainer.errors import UserError

WAIT = 60.0
"""Seconds after which a test gives up on another thread; none waits as long when all is well."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models: the second scores twice as much as the first."""
    directory = tmp_path_factory.mktemp("models")
    return [write_tiny_model(str(directory / f"x{factor}"), factor) for factor in (1.0, 2.0)]


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("served"))
    model_store.publish(models[0], base)
    with PredictionServer(base, model_name="m", port=0) as server:
        yield server


class Stubs:
    """The raw API, as any client of TensorFlow Serving would call it."""

    def __init__(self, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)


@pytest.fixture
def stubs(server):
    stubs = Stubs(server.port)
    yield stubs
    stubs.channel.close()


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


def states(stubs, **spec):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = spec.pop("name", "m")
    if spec:
        request.model_spec.version.value = spec.pop("version")
    state_name = get_model_status_pb2.ModelVersionStatus.State.Name
    return [
        (status.version, state_name(status.state))
        for status in stubs.model.GetModelStatus(request, timeout=WAIT).model_version_status
    ]


def wait_until(condition):
    """Polls a condition that another thread is to make true."""
    give_up = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < give_up


def test_predict(stubs):
    response = stubs.prediction.Predict(predict_request(examples=[b"abc", b"x"]))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 1)
    assert response.model_spec.signature_name == "serving_default"
    assert set(response.outputs) == {"classes", "scores"}
    classes, scores = (tf.make_ndarray(response.outputs[alias]) for alias in ("classes", "scores"))
    np.testing.assert_array_equal(classes, [np.arange(20)] * 2)
    np.testing.assert_array_equal(scores, np.outer([3, 1], np.arange(30, 10, -1)))
    assert (classes.dtype, scores.dtype) == (np.int64, np.float32)


def test_predict_with_a_signature_a_version_and_an_output_filter(stubs):
    response = stubs.prediction.Predict(predict_request("add", ["y"], version=1, **pair()))
    assert list(response.outputs) == ["y"]
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [4, 6])


def malformed(**fields):
    return TensorProto(dtype=tf.float32.as_datatype_enum, **fields)


def two_by_huge():
    proto = malformed(float_val=[1.0])
    for size in (2, 2**60):
        proto.tensor_shape.dim.add(size=size)
    return proto


def unnamed(request):
    request.model_spec.name = ""
    return request


def labelled(request):
    request.model_spec.version_label = "canary"
    return request


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
        (unnamed(predict_request()), INVALID, "ModelSpec has no name specified."),
        (predict_request(model="n"), NOT_FOUND, "Servable not found for request: Latest(n)"),
        (predict_request(version=7), NOT_FOUND, "Servable not found for request: Specific(m, 7)"),
        (labelled(predict_request()), INVALID, "Unrecognized servable version label: canary"),
        (
            predict_request("s"),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "s" not found.',
        ),
        (
            predict_request("__saved_model_init_op"),
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of {tensorflow/serving/classify,"
            "tensorflow/serving/predict,tensorflow/serving/regress}. Was: ",
        ),
        (
            predict_request("add", a=np.float32([1])),
            INVALID,
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. "
            "Missing but required: {b}.",
        ),
        (
            predict_request("add", **pair(c=np.float32([1]))),
            INVALID,
            "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). Sent extra: {c}. "
            "Missing but required: {}.",
        ),
        (
            predict_request("add", a=np.float32([1]), c=np.float32([1])),
            INVALID,
            "Signature input alias: b(feed name: add_b:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {a,c}, or default input alias set: ",
        ),
        (
            predict_request("add", **pair(a=malformed(tensor_content=b"abc"))),
            INVALID,
            "tensor parsing error: a",
        ),
        (predict_request("add", **pair(b=two_by_huge())), INVALID, "tensor parsing error: b"),
        (
            predict_request("add", **pair(a=TensorProto())),
            INVALID,
            "tensor parsing error: a",
        ),
        (
            predict_request("add", **pair(a=np.float64([1, 2]))),
            INVALID,
            "Expects arg[0] to be float but double is provided",
        ),
        (
            predict_request("add", **pair(b=np.int64([1, 2]))),
            INVALID,
            "Expects arg[1] to be float but int64 is provided",
        ),
        (
            predict_request(examples=np.float32([1])),
            INVALID,
            "Expects arg[0] to be string but float is provided",
        ),
        (
            predict_request("add", ["z"], **pair()),
            INVALID,
            "output tensor alias not found in signature: z Outputs expected to be in the set {x,y}.",
        ),
        (predict_request("add", ["y", "y"], **pair()), INVALID, "duplicate output tensor alias: y"),
    ],
)
def test_predict_errors_are_those_of_tensorflow_serving(stubs, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)


def test_what_the_graph_refuses_is_an_invalid_argument_in_its_own_words(stubs):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(examples=[b"x", b""]))
    assert raised.value.code() == INVALID
    assert "assertion failed: [row] [1] [is empty]" in raised.value.details()


def test_shapes_are_the_graphs_business(stubs):
    square = np.float32([[1, 2], [3, 4]])
    response = stubs.prediction.Predict(predict_request("add", ["y"], a=square, b=square))
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), square * 2)


def test_long_messages_are_cut(stubs):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(model="n" * 20_000))
    assert raised.value.code() == NOT_FOUND
    assert len(raised.value.details()) == 1024 + len("...TRUNCATED")


def metadata_request(*fields, name="m", spec=True):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec:
        request.model_spec.name = name
    return request


def test_model_metadata(stubs):
    response = stubs.prediction.GetModelMetadata(metadata_request("signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 1)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "predictions", "add"} <= set(signatures.signature_def)
    assert set(signatures.signature_def["add"].inputs) == {"a", "b"}


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (metadata_request("signature_def", spec=False), INVALID, "Missing ModelSpec"),
        (
            metadata_request(),
            INVALID,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("signature_def", "f"), INVALID, "Metadata field f is not supported"),
        (
            metadata_request("signature_def", name="n"),
            NOT_FOUND,
            "Servable not found for request: Latest(n)",
        ),
        (metadata_request("signature_def", name=""), INVALID, "ModelSpec has no name specified."),
    ],
)
def test_model_metadata_errors(stubs, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.GetModelMetadata(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)


def test_model_status(stubs):
    assert states(stubs) == states(stubs, version=1) == [(1, "AVAILABLE")]
    for spec, text in [
        ({"version": 7}, "Could not find version 7 of model m"),
        ({"name": "n"}, "Could not find any versions of model n"),
        ({"name": "n", "version": 1}, "Could not find version 1 of model n"),
    ]:
        with pytest.raises(grpc.RpcError) as raised:
            states(stubs, **spec)
        assert (raised.value.code(), raised.value.details()) == (NOT_FOUND, text)
    with pytest.raises(grpc.RpcError) as raised:
        stubs.model.GetModelStatus(get_model_status_pb2.GetModelStatusRequest())
    assert (raised.value.code(), raised.value.details()) == (INVALID, "Missing ModelSpec")


def spec_request(kind, signature="", model="m"):
    request = kind()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


def inference_request(method="tensorflow/serving/classify", **spec):
    task = spec_request(inference_pb2.InferenceTask, **spec)
    task.method_name = method
    return inference_pb2.MultiInferenceRequest(tasks=[task])


CLASSIFICATION, REGRESSION = classification_pb2.ClassificationRequest, regression_pb2.RegressionRequest
WAS = ". Was: tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "request_", "code", "text"),
    [
        (
            "Classify",
            spec_request(CLASSIFICATION),
            INVALID,
            f"Expected classification signature method_name to be tensorflow/serving/classify{WAS}",
        ),
        (
            "Regress",
            spec_request(REGRESSION),
            INVALID,
            f"Expected regression signature method_name to be tensorflow/serving/regress{WAS}",
        ),
        ("Classify", CLASSIFICATION(), INVALID, "Missing ModelSpec"),
        ("Regress", spec_request(REGRESSION, "s"), INVALID, "No signature was found with the name: s"),
        (
            "Classify",
            spec_request(CLASSIFICATION, model="n"),
            NOT_FOUND,
            "Servable not found for request: Latest(n)",
        ),
        ("MultiInference", inference_pb2.MultiInferenceRequest(), INVALID, "Missing ModelSpec"),
        (
            "MultiInference",
            inference_request(),
            INVALID,
            f"Expected classification signature method_name to be tensorflow/serving/classify{WAS}",
        ),
        (
            "MultiInference",
            inference_request("tensorflow/serving/regress"),
            INVALID,
            f"Expected regression signature method_name to be tensorflow/serving/regress{WAS}",
        ),
        (
            "MultiInference",
            inference_request(signature="s"),
            INVALID,
            "Requested signature not found in model graph: s",
        ),
        (
            "MultiInference",
            inference_request("x"),
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: x",
        ),
    ],
)
def test_other_methods_say_that_the_signature_is_not_theirs(stubs, method, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        getattr(stubs.prediction, method)(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)


def test_requests_over_four_mebibytes_are_taken(server):
    with PredictClient(f"127.0.0.1:{server.port}", "m") as client:
        _, scores = client.predict([b"x" * 6 * 2**20])
    assert scores[0, 0] == 30 * 6 * 2**20


def test_nothing_to_serve_is_the_users_error(models, tmp_path):
    with pytest.raises(UserError, match="no model to serve"):
        PredictionServer(str(tmp_path), port=0).start()
    published = model_store.publish(models[0], str(tmp_path))
    os.truncate(os.path.join(published.path, "variables", "variables.index"), 10)
    with pytest.raises(UserError, match=r"version 1 .* does not load"):
        PredictionServer(str(tmp_path), port=0).start()


def test_a_port_is_not_shared(server, models, tmp_path):
    model_store.publish(models[0], str(tmp_path))
    with pytest.raises(UserError, match="is the port taken"):
        PredictionServer(str(tmp_path), port=server.port).start()


def test_the_port_opens_when_the_model_is_loaded(models, tmp_path, monkeypatch):
    model_store.publish(models[0], str(tmp_path))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    refused = []
    load = tf.compat.v1.saved_model.load

    def knock(*args):
        with socket.socket() as client:
            refused.append(client.connect_ex(("127.0.0.1", port)) != 0)
        return load(*args)

    monkeypatch.setattr(tf.compat.v1.saved_model, "load", knock)
    with PredictionServer(str(tmp_path), port=port):
        assert refused == [True]
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT):
            pass


def test_versions_change_under_load_without_a_failed_request(models, tmp_path):
    base = str(tmp_path)
    model_store.publish(models[0], base)
    with PredictionServer(base, "m", port=0, poll_seconds=0.05) as server:
        stop, failures, seen = threading.Event(), [], set()

        def ask():
            with PredictClient(f"127.0.0.1:{server.port}", "m") as client:
                while not stop.is_set():
                    try:
                        seen.add(float(client.predict([b"abc"])[1][0, 0]))
                    except Exception as error:
                        failures.append(error)

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        stubs = Stubs(server.port)
        try:
            wait_until(lambda: 90.0 in seen)
            for version in range(2, 6):
                model_store.publish(models[(version + 1) % 2], base)
                wait_until(lambda version=version: (version, "AVAILABLE") in states(stubs))
                seen.clear()
                wait_until(lambda version=version: 90.0 * (2 - version % 2) in seen)
                wait_until(lambda version=version: (version - 1, "END") in states(stubs))
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        assert failures == []
        assert states(stubs) == [(5, "AVAILABLE"), *((version, "END") for version in (4, 3, 2, 1))]
        stubs.channel.close()


def test_a_version_that_does_not_load_leaves_the_old_one_serving(models, tmp_path):
    base = str(tmp_path / "served")
    model_store.publish(models[0], base)
    broken = tmp_path / "broken"
    (broken / "variables").mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"not a graph")
    (broken / "variables" / "variables.index").write_bytes(b"")
    with PredictionServer(base, "m", port=0, poll_seconds=0.05) as server:
        stubs = Stubs(server.port)
        model_store.publish(str(broken), base)
        wait_until(lambda: states(stubs) == [(2, "END"), (1, "AVAILABLE")])
        with PredictClient(f"127.0.0.1:{server.port}", "m") as client:
            assert client.predict([b"abc"])[1][0, 0] == 90.0
        model_store.rollback(base, to=1)
        wait_until(lambda: states(stubs) == [(3, "AVAILABLE"), (2, "END"), (1, "END")])
        stubs.channel.close()


def test_a_running_request_finishes_on_the_old_version_and_on_a_stopping_server(
    models, tmp_path, monkeypatch
):
    base = str(tmp_path)
    model_store.publish(models[0], base)
    entered, go_on = threading.Event(), threading.Event()
    run = Servable.run

    def slow_run(self, feeds, fetches):
        if next(iter(feeds.values())).tolist() == [b"slow"]:
            entered.set()
            assert go_on.wait(WAIT)
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", slow_run)
    server = PredictionServer(base, model_name="m", port=0, poll_seconds=0.05)
    server.start()
    stubs = Stubs(server.port)
    request = predict_request(examples=[b"slow"])
    on_old = stubs.prediction.Predict.future(request)
    assert entered.wait(WAIT)
    model_store.publish(models[1], base)
    wait_until(lambda: states(stubs) == [(2, "AVAILABLE"), (1, "UNLOADING")])
    entered.clear()
    on_new = stubs.prediction.Predict.future(request)
    assert entered.wait(WAIT)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    late = Stubs(server.port)

    def refused():
        try:
            late.prediction.Predict(predict_request(examples=[b"fast"]), timeout=WAIT)
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.UNAVAILABLE
        return False

    wait_until(refused)
    assert not on_old.done()
    assert not on_new.done()
    go_on.set()
    answers = [future.result(WAIT) for future in (on_old, on_new)]
    assert [answer.model_spec.version.value for answer in answers] == [1, 2]
    assert [tf.make_ndarray(answer.outputs["scores"])[0, 0] for answer in answers] == [120.0, 240.0]
    stopper.join(WAIT)
    assert not stopper.is_alive()


_SERVE = """
import sys
from serving.server import PredictionServer, termination
with termination() as wait, PredictionServer(sys.argv[1], model_name="m", port=0) as server:
    sys.stdout.write(f"{server.port}\\n"); sys.stdout.flush()
    wait()
"""


@pytest.mark.slow
def test_sigterm_drains(models, tmp_path):
    model_store.publish(models[0], str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        stubs = Stubs(int(process.stdout.readline()))
        running = stubs.prediction.Predict.future(predict_request("spin", rounds=np.int32(50_000)))
        # One connection keeps the order: when this is answered, the request before has arrived.
        assert states(stubs) == [(1, "AVAILABLE")]
        process.send_signal(signal.SIGTERM)
        assert tf.make_ndarray(running.result(WAIT).outputs["rounds"]) == 50_000
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.stdout.close()
