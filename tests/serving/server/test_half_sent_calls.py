"""Calls that a client begins without ever sending a message: they stop nobody, and end soon."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server import arrivals
from serving.server.server import PredictionServer
from tests.serving.api import WAIT, predict_request, states, wait_until
from tests.serving.hostile_requests import PREDICT

CALLS = 64
WATCH = "/grpc.health.v1.Health/Watch"
CHECK = "/grpc.health.v1.Health/Check"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


@pytest.fixture(autouse=True)
def promptness(monkeypatch):
    monkeypatch.setattr(arrivals, "PROMPT_SECONDS", 1.0)


@contextlib.contextmanager
def half_sent(port, *methods, calls=CALLS):
    """So many calls of each method that have sent their headers and nothing else."""
    never = threading.Event()

    def no_message():
        never.wait()
        return
        yield

    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        futures = []
        try:
            for method in methods:
                begin = channel.stream_unary(method).future
                futures += [begin(no_message(), timeout=WAIT) for _ in range(calls)]
            yield futures
        finally:
            for future in futures:
                future.cancel()
            never.set()


def assert_answers(stubs, seconds):
    """All kinds of methods are answered in so many seconds."""
    health = health_pb2_grpc.HealthStub(stubs.channel)
    assert stubs.prediction.Predict(predict_request(examples=[b"x"]), timeout=seconds).outputs
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=seconds).status == 1
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=seconds)
    assert next(watch).status == 1
    watch.cancel()
    assert states(stubs, timeout=seconds) == [(1, "AVAILABLE")]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("methods", [(PREDICT,), (WATCH,), (CHECK, STATUS, PREDICT, WATCH)])
def test_others_are_answered_at_once(server, stubs, methods):
    assert_answers(stubs, WAIT)
    with half_sent(server.port, *methods):
        time.sleep(0.2)  # so that all have arrived
        assert_answers(stubs, 1.0)
        # Those who are late take no places of the others either.
        time.sleep(arrivals.PROMPT_SECONDS)
        assert_answers(stubs, 1.0)


def test_more_than_a_few_that_are_late_are_ended(server):
    with half_sent(server.port, PREDICT) as calls:
        wait_until(lambda: sum(call.done() for call in calls) == CALLS - arrivals.SLOW_PLACES)
        assert {call.code() for call in calls if call.done()} == {grpc.StatusCode.UNAVAILABLE}


def test_a_message_that_never_comes_is_given_up(server, monkeypatch):
    monkeypatch.setattr(arrivals, "SLOW_SECONDS", arrivals.PROMPT_SECONDS + 0.2)
    with half_sent(server.port, PREDICT, calls=1) as (call,):
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "the request has not come" in call.details()
    assert call.done()


def test_a_message_that_is_slow_is_answered(server, monkeypatch):
    monkeypatch.setattr(arrivals, "PROMPT_SECONDS", 0.05)

    def slow_message():
        time.sleep(0.5)
        yield predict_request(examples=[b"x"]).SerializeToString()

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert channel.stream_unary(PREDICT)(slow_message(), timeout=WAIT)


def test_a_call_without_a_message_is_refused(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for method in (PREDICT, WATCH):
            with pytest.raises(grpc.RpcError) as raised:
                channel.stream_unary(method)(iter(()), timeout=WAIT)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_they_do_not_hold_up_the_end(base):
    server = PredictionServer(base, "m", port=0)
    server.start()
    with half_sent(server.port, PREDICT, WATCH, calls=4) as calls:
        time.sleep(arrivals.PROMPT_SECONDS + 0.5)
        begin = time.monotonic()
        server.stop(WAIT)
        assert time.monotonic() - begin < WAIT / 2
        wait_until(lambda: all(call.done() for call in calls))
        assert {call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}


def test_clients_who_leave_before_their_answers_leave_nothing_behind(server, stubs):
    """They cancel at any moment: before, while and after their request is worked on."""

    def leave(number):
        call = stubs.prediction.Predict.future(predict_request("spin", rounds=tf.constant(500)))
        time.sleep(number % 16 / 1000)
        call.cancel()

    with ThreadPoolExecutor(8) as pool:
        wait([pool.submit(leave, number) for number in range(200)])
    workers = server._pools.predictions
    wait_until(lambda: workers.there == 0)
    assert server._pools.budget.taken == 0
    assert_answers(stubs, WAIT)
