"""The client against a gRPC server of the test's own, which answers whatever it is told to."""

import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.base.errors import NoServerError, ServingError, TryAgainError
from serving.client.client import PredictClient, VersionStatus
from serving.server.models.model_config import ModelConfig
from serving.server.server import PredictionServer
from trainer.base.errors import UserError


class Fake(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with what it is told to."""

    def __init__(self):
        self.abort = None
        self.aborts = 1000
        self.response = predict_pb2.PredictResponse()
        self.request = None
        self.wait = None
        self.requests = 0

    def Predict(self, request, context):  # noqa: N802
        self.request = request
        self.requests += 1
        if self.wait:
            self.wait.wait()
        if self.abort and self.requests <= self.aborts:
            context.abort(*self.abort)
        return self.response


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def target(fake):
    server = grpc.server(
        futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 100_000_000)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def answer(fake, classes, scores):
    fake.response.outputs["classes"].CopyFrom(tf.make_tensor_proto(classes))
    fake.response.outputs["scores"].CopyFrom(tf.make_tensor_proto(scores))


def test_predict(fake, target):
    answer(fake, np.int64([[5, 3], [1, 2]]), np.float32([[0.75, 0.5], [1, 0]]))
    with PredictClient(target, "m") as client:
        classes, scores = client.predict([b"one", b"two"])
    np.testing.assert_array_equal(classes, [[5, 3], [1, 2]])
    np.testing.assert_array_equal(scores, np.float32([[0.75, 0.5], [1, 0]]))
    assert fake.request.model_spec.name == "m"
    assert tf.make_ndarray(fake.request.inputs["examples"]).tolist() == [b"one", b"two"]


def test_large_messages_go_both_ways(fake, target):
    answer(fake, np.zeros((1000, 2000), np.int64), np.ones((1000, 2000), np.float32))
    with PredictClient(target) as client:
        classes, _ = client.predict([b"x" * 10_000_000])
    assert classes.shape == (1000, 2000)


CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (CODE.INVALID_ARGUMENT, UserError, "the server refuses the request (row 3 is bad and so on)"),
        (CODE.NOT_FOUND, UserError, "does not have this model (see its --model-name)"),
        (CODE.FAILED_PRECONDITION, UserError, "the model cannot do what is asked of it"),
        (CODE.OUT_OF_RANGE, UserError, "refuses"),
        (CODE.UNIMPLEMENTED, UserError, "not a prediction server"),
        (CODE.UNAUTHENTICATED, UserError, "who asks"),
        (CODE.PERMISSION_DENIED, UserError, "does not let you"),
        (CODE.RESOURCE_EXHAUSTED, UserError, "send fewer videos"),
        (CODE.UNAVAILABLE, TryAgainError, "too busy"),
        (CODE.DEADLINE_EXCEEDED, TryAgainError, "no answer in time"),
        (CODE.ABORTED, TryAgainError, "gave up"),
        (CODE.CANCELLED, TryAgainError, "cancelled"),
        (CODE.INTERNAL, ServingError, "INTERNAL: row 3 is bad and so on"),
        (CODE.UNKNOWN, ServingError, "UNKNOWN"),
        (CODE.DATA_LOSS, ServingError, "DATA_LOSS"),
        (CODE.ALREADY_EXISTS, ServingError, "ALREADY_EXISTS"),
    ],
)
def test_every_status_is_one_clear_line(fake, target, code, kind, text):
    fake.abort = (code, "row 3 is bad\n\tand so on")
    with PredictClient(target, "m") as client, pytest.raises(kind) as raised:
        client.predict([b"x"])
    message = str(raised.value)
    assert type(raised.value) is kind
    assert text in message
    assert f"{target}, model m: {code.name}" in message
    assert "\n" not in message


def test_nobody_listens():
    with (
        PredictClient("127.0.0.1:1", timeout=30) as client,
        pytest.raises(NoServerError, match=r"no server answers there: start one .*refused") as raised,
    ):
        client.predict([b"x"])
    assert isinstance(raised.value, UserError)  # the command line's exit code 2
    assert isinstance(raised.value, TryAgainError)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("localhost:99999", "a port is a number from 1 to 65535"),
        ("localhost:0", "a port is a number from 1 to 65535"),
        ("localhost", "is HOST:PORT, such as localhost:8500"),
        ("", "is HOST:PORT"),
        (":8500", "is HOST:PORT"),
        ("localhost:port", "is HOST:PORT"),
        ("me@localhost:1", "is HOST:PORT"),
        ("http://localhost:8500", "has no http://"),
        ("::1:8500", "is HOST:PORT"),
    ],
)
def test_what_cannot_be_an_address_is_refused(target, problem):
    with pytest.raises(UserError, match=problem):
        PredictClient(target)


@pytest.mark.parametrize(
    "target",
    ["localhost:8500", "10.0.0.1:1", "[::1]:65535", "dns:///a.b:8500", "unix:/run/socket", "ipv4:1.2.3.4:5"],
)
def test_addresses_of_servers_are_taken(target):
    PredictClient(target).close()


def test_a_version_that_is_not_loaded_is_named_with_those_that_are(base):
    with PredictionServer([ModelConfig(name="m", base_path=base, labels={"old": 3})], port=0) as server:
        for asked, text in (({"version": 7}, "version 7 is"), ({"version_label": "new"}, "version new is")):
            with (
                PredictClient(f"127.0.0.1:{server.port}", "m", **asked) as client,
                pytest.raises(UserError, match=f"the {text} not loaded; loaded: 3"),
            ):
                client.predict([b"x"])
        with PredictClient(f"127.0.0.1:{server.port}", "m", version=3) as client:
            with pytest.raises(UserError, match="refuses the request"):
                client.predict([b""])
            assert client.versions() == [VersionStatus(version=3, state="available")]


def test_the_deadline_ends_a_request(fake, target):
    fake.wait = threading.Event()
    try:
        with PredictClient(target, timeout=0.2) as client, pytest.raises(TryAgainError, match="DEADLINE"):
            client.predict([b"x"])
    finally:
        fake.wait.set()


def test_an_answer_of_another_kind_of_model(fake, target):
    fake.response.outputs["y"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    with PredictClient(target) as client, pytest.raises(ServingError, match="not one of a YT-8M model"):
        client.predict([b"x"])


def test_a_server_that_is_unavailable_for_a_while_is_asked_again(fake, target):
    answer(fake, np.int64([[5]]), np.float32([[0.75]]))
    fake.abort, fake.aborts = (CODE.UNAVAILABLE, "busy"), 2
    with PredictClient(target) as client:
        assert client.predict([b"x"])[0].tolist() == [[5]]
        assert fake.requests == 3
        fake.requests = 0
        fake.aborts = 1000
        with pytest.raises(TryAgainError, match="busy"):
            client.predict([b"x"])
        assert fake.requests == 4
    fake.requests = 0
    with PredictClient(target, attempts=1) as client, pytest.raises(TryAgainError, match="busy"):
        client.predict([b"x"])
    assert fake.requests == 1


@pytest.mark.parametrize(
    "code", [CODE.RESOURCE_EXHAUSTED, CODE.INTERNAL, CODE.ABORTED, CODE.INVALID_ARGUMENT]
)
def test_nothing_else_is_asked_again(fake, target, code):
    fake.abort = (code, "no")
    with PredictClient(target) as client, pytest.raises((UserError, ServingError)):
        client.predict([b"x"])
    assert fake.requests == 1


def test_all_attempts_together_keep_the_deadline(fake, target):
    fake.abort = (CODE.UNAVAILABLE, "busy")
    begin = time.monotonic()
    with PredictClient(target, timeout=0.3, attempts=1_000_000) as client, pytest.raises(TryAgainError):
        client.predict([b"x"])
    assert time.monotonic() - begin < 5  # of a million attempts, with pauses that grow to seconds
