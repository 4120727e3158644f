"""grpc.health.v1: nobody who watches can stop the server."""

import contextlib
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server.rpc import health as health_module
from serving.server.server import PredictionServer
from tests.serving.api import WAIT, Stubs, predict_request

WATCHERS = 8
SECONDS = 2.0
"""With the library's servicer the server hung within the first: after at most three watches of four clients."""

Response = health_pb2.HealthCheckResponse


def watch_and_leave(port, stop):
    """Watches, reads the first state and goes away, over and over."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while not stop.is_set():
            call = stub.Watch(health_pb2.HealthCheckRequest(), timeout=WAIT)
            assert next(call).status == Response.SERVING
            call.cancel()


@pytest.mark.timeout(60)  # a server that hangs cannot be stopped either
def test_watchers_that_come_and_go_do_not_stop_the_server(base):
    with PredictionServer(base, "m", port=0) as server:
        stop = threading.Event()
        watchers = [
            threading.Thread(target=watch_and_leave, args=(server.port, stop), daemon=True)
            for _ in range(WATCHERS)
        ]
        for watcher in watchers:
            watcher.start()
        time.sleep(SECONDS)
        stop.set()
        stubs = Stubs(server.port)
        health = health_pb2_grpc.HealthStub(stubs.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == Response.SERVING
        assert stubs.prediction.Predict(predict_request(examples=[b"x"]), timeout=10).outputs
        for watcher in watchers:
            watcher.join(10)
            assert not watcher.is_alive()
        stubs.channel.close()


def test_a_watcher_of_an_unknown_service_is_told_so_and_its_stream_ends_with_the_server(base):
    server = PredictionServer(base, "m", port=0)
    server.start()
    stubs = Stubs(server.port)
    watches = [
        health_pb2_grpc.HealthStub(stubs.channel).Watch(health_pb2.HealthCheckRequest(service=service))
        for service in ("m", "none")
    ]
    assert [next(watch).status for watch in watches] == [Response.SERVING, Response.SERVICE_UNKNOWN]
    begin = time.monotonic()
    server.stop(WAIT)
    assert time.monotonic() - begin < WAIT / 2
    assert [[answer.status for answer in watch] for watch in watches] == [[Response.NOT_SERVING], []]
    stubs.channel.close()


@pytest.mark.timeout(60)
def test_watchers_are_bounded_and_those_who_leave_make_room(stubs, monkeypatch):
    monkeypatch.setattr(health_module, "MAX_WATCHERS", 1)
    watch = health_pb2_grpc.HealthStub(stubs.channel).Watch
    for _ in range(3):
        first = None
        while first is None:  # the one before is leaving
            call = watch(health_pb2.HealthCheckRequest(), timeout=WAIT)
            with contextlib.suppress(grpc.RpcError):
                assert next(call).status == Response.SERVING
                first = call
        with pytest.raises(grpc.RpcError) as raised:
            next(watch(health_pb2.HealthCheckRequest(), timeout=WAIT))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
