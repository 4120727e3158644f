"""Start, change of versions and end of the server."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.client.client import PredictClient
from serving.server.models.servable import Servable
from serving.server.server import PredictionServer, termination
from serving.store import model_store
from tests.serving.api import WAIT, Stubs, predict_request, states, wait_until
from trainer.base.errors import UserError


def test_requests_over_four_mebibytes_are_taken(server):
    with PredictClient(f"127.0.0.1:{server.port}", "m") as client:
        _, scores = client.predict([b"x" * 6 * 2**20])
    assert scores[0, 0] == 30 * 6 * 2**20


def test_nothing_to_serve_is_the_users_error(models, tmp_path):
    with pytest.raises(UserError, match="no model to serve"):
        PredictionServer(str(tmp_path), port=0).start()
    with pytest.raises(UserError, match="misspelt does not exist: it needs a directory"):
        PredictionServer(str(tmp_path / "misspelt"), port=0).start()
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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError("cannot read /home/secret/model"), grpc.StatusCode.INTERNAL),
        (tf.errors.InternalError(None, None, "cannot read /home/secret/model"), grpc.StatusCode.INTERNAL),
        (tf.errors.NotFoundError(None, None, "no /home/secret/model"), grpc.StatusCode.NOT_FOUND),
    ],
)
def test_the_text_of_an_exception_goes_to_the_log_and_its_number_to_the_client(
    stubs, monkeypatch, caplog, error, code
):
    def fail(self, feeds, fetches):
        raise error

    monkeypatch.setattr(Servable, "run", fail)
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(examples=[b"x"]))
    assert raised.value.code() == code
    assert "secret" not in raised.value.details()
    (reference,) = re.findall("under the reference ([0-9a-f]{8})$", raised.value.details())
    (record,) = [record for record in caplog.records if reference in record.getMessage()]
    assert record.exc_info[1] is error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.timeout(20)
def test_a_signal_that_another_thread_gets_ends_the_wait(number):
    with termination() as wait:
        threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), number)).start()
        wait()


def test_a_signal_from_before_the_wait_ends_it():
    before = signal.getsignal(signal.SIGTERM)
    with termination() as wait:
        signal.raise_signal(signal.SIGTERM)
        wait()
    assert signal.getsignal(signal.SIGTERM) is before


_SERVE = """
import sys
from serving.server.server import PredictionServer, termination
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
        # A connection that stands keeps the order: when the second of these is answered, the request has arrived.
        assert states(stubs) == [(1, "AVAILABLE")]
        running = stubs.prediction.Predict.future(predict_request("spin", rounds=np.int32(50_000)))
        assert states(stubs) == [(1, "AVAILABLE")]
        process.send_signal(signal.SIGTERM)
        assert tf.make_ndarray(running.result(WAIT).outputs["rounds"]) == 50_000
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.stdout.close()
