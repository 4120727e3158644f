"""The load test, small, so that it is right when it is needed."""

import queue
import threading
import time
from concurrent.futures import Future

import grpc
import numpy as np
import pytest

from serving.server.server import PredictionServer, ServerOptions
from serving.store import model_store
from tests.load.clients import RestClients
from tests.load.measure import measure_load, measure_swaps
from tests.load.open_loop import Outcome, closed_loop, open_loop, poisson_times, summary
from tests.serving.tiny_model import write_tiny_model


def test_arrivals_are_those_of_a_poisson_process():
    times = list(poisson_times(100.0, 50.0, seed=1))
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 50
    gaps = np.diff(times)
    assert len(times) == pytest.approx(5000, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_a_stall_is_seen_by_all_who_would_have_asked_meanwhile():
    """A server of one thread that sleeps once: a client that waits for its answers would measure one slow request."""
    work = queue.Queue()

    def serve():
        for number, future in iter(work.get, None):
            time.sleep(0.5 if number == 20 else 0)
            future.set_result(number)

    def send(number):
        future = Future()
        work.put((number, future))
        return future

    server = threading.Thread(target=serve)
    server.start()
    outcomes = open_loop(send, [number / 100 for number in range(100)])
    work.put(None)
    server.join()
    assert [outcome.answer for outcome in outcomes] == list(range(100))
    slow = [outcome for outcome in outcomes[20:] if outcome.latency > 0.1]
    assert len(slow) >= 35
    assert outcomes[20].latency > 0.45


class RefusedError(Exception):
    def code(self):
        return grpc.StatusCode.UNAVAILABLE


def test_errors_are_counted_and_have_no_latency():
    def send(number):
        future = Future()
        if number % 2:
            future.set_exception(RefusedError())
        else:
            future.set_result(b"")
        return future

    result = summary(open_loop(send, [0.0] * 10))
    assert (result["requests"], result["errors"]) == (10, {"UNAVAILABLE": 5})
    done = [Outcome(due=0, done=number / 1000, error="", answer=None) for number in range(1, 101)]
    result = summary(done)
    assert result["p50_ms"] == pytest.approx(50.5)
    assert result["p99_ms"] == pytest.approx(99.01)
    assert result["answers_per_second"] == pytest.approx(1000)


def test_a_failure_ends_the_closed_loop():
    def ask(number):
        raise RefusedError()

    with pytest.raises(RefusedError):
        closed_loop(ask, 2, 10.0)


@pytest.mark.slow
def test_load_and_swaps_of_a_small_server(tmp_path):
    base = str(tmp_path / "base")
    model_store.publish(write_tiny_model(str(tmp_path / "model")), base)
    with PredictionServer(base, "m", port=0, poll_seconds=0.05, options=ServerOptions(http_port=0)) as server:
        target = f"127.0.0.1:{server.port}"
        row = measure_load(target, "m", [b"abc"], clients=4, seconds=0.6, share=0.3)
        assert row["capacity_per_second"] > 0
        assert row["requests"] == pytest.approx(row["offered_per_second"] * 0.6, rel=0.5, abs=10)
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["errors"] == {}
        rest = f"127.0.0.1:{server.http_port}"
        row = measure_load(rest, "m", [b"abc"], clients=2, seconds=0.3, share=0.3, kind=RestClients)
        assert (row["capacity_per_second"] > 0, row["errors"]) == (True, {})
        swaps = measure_swaps(target, base, "m", [b"abc"], rate=60.0, seconds=1.0)
    assert swaps["errors"] == {}
    assert list(swaps["answers_by_version"]) == [1, 2, 3]
    assert sum(swaps["answers_by_version"].values()) == swaps["requests"]
