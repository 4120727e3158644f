"""A server that is sent nonsense: it goes on, with a proper status for every answer and bounded memory."""

import itertools
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from tensorflow_serving.apis.predict_pb2 import PredictResponse

from serving.export.saved_model import write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.store import model_store
from tests.serving.export.test_saved_model import make_member
from tests.serving.hostile_requests import PREDICT, good_requests, hostile_requests
from tests.serving.huge_requests import HUGE, MEGABYTE
from tests.serving.tiny_model import write_tiny_model

pytestmark = pytest.mark.slow

REQUESTS = 10_000
PATIENCE = 300.0
"""Seconds after which a request counts as lost, on however busy a machine."""
SENDERS = 4
MAX_REQUEST_MIB = 128
MEMORY = 2_100 * MEGABYTE
"""That the server may take above what it takes when it has loaded its models: sixteen times its largest request."""

CODE = grpc.StatusCode
PROPER = {
    CODE.OK,
    CODE.INVALID_ARGUMENT,
    CODE.NOT_FOUND,
    CODE.FAILED_PRECONDITION,
    CODE.UNIMPLEMENTED,
    CODE.RESOURCE_EXHAUSTED,
}
TENSORFLOW_SERVINGS = "Expected prediction signature method_name to be one of"
"""The one case that it calls INTERNAL: a signature that is no client's business."""

_SERVE = """
import dataclasses, sys
from serving.server.models.batched_servable import BatchingConfig
from serving.server.models.model_config import ModelConfig
from serving.server.server import PredictionServer, ServerOptions, termination
models = [ModelConfig(name=name, base_path=path) for name, path in zip(("yt8m", "m"), sys.argv[2:])]
plain = ServerOptions(max_request_bytes=int(sys.argv[1]) * 2**20, max_videos=64)
batching = dataclasses.replace(plain, batching=BatchingConfig(max_batch_size=64))
with (
    termination() as wait,
    PredictionServer(models, port=0, options=plain) as one,
    PredictionServer(models, port=0, options=batching) as other,
):
    sys.stdout.write(f"{one.port} {other.port}\\n"); sys.stdout.flush()
    wait()
"""


class Victim:
    """A process with two servers, one without batching and one with it."""

    def __init__(self, process: subprocess.Popen, ports: list[int]) -> None:
        self._process = process
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options) for port in ports]
        self._usual = self.memory()
        self._answers = self._good_answers()

    def memory(self, peak: bool = False) -> int:
        """Bytes resident, now or at most so far."""
        with open(f"/proc/{self._process.pid}/status", encoding="utf-8") as file:
            (line,) = (line for line in file if line.startswith("VmHWM" if peak else "VmRSS"))
        return int(line.split()[1]) * 1024

    def check(self) -> None:
        """It runs, answers good requests as it did at first, and has stayed within its memory."""
        assert self._process.poll() is None
        assert self._good_answers() == self._answers
        assert self.memory(peak=True) - self._usual < MEMORY

    def _good_answers(self) -> list[PredictResponse]:
        answers = [
            ask(channel, PREDICT, request.SerializeToString())
            for channel in self.channels
            for request in good_requests()
        ]
        assert {code for code, _ in answers} == {CODE.OK}
        return [PredictResponse.FromString(data) for _, data in answers]


def ask(channel: grpc.Channel, method: str, data: bytes, **options: object) -> tuple[CODE, bytes | str]:
    """Code, and the answer or the text of the error."""
    try:
        return CODE.OK, channel.unary_unary(method)(data, timeout=PATIENCE, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()


@pytest.fixture(scope="module")
def victim(tmp_path_factory) -> Iterator[Victim]:
    directory = tmp_path_factory.mktemp("models")
    members = [make_member("K2-H4", 1, 0.7), make_member("K2-H3", 2, 0.3)]
    write_saved_model(str(directory / "ours"), members, vocabulary=Vocabulary({1: "Game"}))
    write_tiny_model(str(directory / "tiny"))
    bases = [str(directory / "served" / name) for name in ("ours", "tiny")]
    for base, source in zip(bases, ("ours", "tiny"), strict=True):
        model_store.publish(str(directory / source), base)
    command = [sys.executable, "-c", _SERVE, str(MAX_REQUEST_MIB), *bases]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            victim = Victim(process, [int(port) for port in process.stdout.readline().split()])
            yield victim
            for channel in victim.channels:
                channel.close()
        finally:
            process.kill()


def test_ten_thousand_hostile_requests(victim):
    requests, lock = hostile_requests(seed=0, count=REQUESTS), threading.Lock()
    codes, improper = Counter(), []

    def send(channel):
        while True:
            with lock:
                if (request := next(requests, None)) is None:
                    return
            code, text = ask(channel, *request)
            codes[code] += 1
            if code not in PROPER and not (code is CODE.INTERNAL and text.startswith(TENSORFLOW_SERVINGS)):
                improper.append((code, text, request))

    senders = [
        threading.Thread(target=send, args=(channel,))
        for channel, _ in itertools.product(victim.channels, range(SENDERS // 2))
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert improper == []
    assert codes.total() == REQUESTS
    assert set(codes) > PROPER - {CODE.RESOURCE_EXHAUSTED}  # of every kind, so that they come everywhere
    victim.check()


@pytest.mark.parametrize("name", HUGE)
def test_huge_requests(victim, name):
    make, wanted = HUGE[name]
    data = make().SerializeToString()
    assert len(data) < MAX_REQUEST_MIB * 2**20
    for channel in victim.channels:
        code, text = ask(channel, PREDICT, data)
        assert code is wanted, text
    victim.check()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_requests_over_the_limit(victim, compression):
    data = bytes(MAX_REQUEST_MIB * 2**20 + 1)
    code, _ = ask(victim.channels[0], PREDICT, data, compression=compression)
    assert code is CODE.RESOURCE_EXHAUSTED
    victim.check()


def test_watchers_who_leave(victim):
    watch = victim.channels[0].unary_stream("/grpc.health.v1.Health/Watch")
    for number in range(300):
        call = watch(HealthCheckRequest(service=f"{number}").SerializeToString(), timeout=PATIENCE)
        next(call)
        call.cancel()
    with pytest.raises(grpc.RpcError) as raised:
        next(watch(b"\xff", timeout=PATIENCE))
    assert raised.value.code() is CODE.INVALID_ARGUMENT
    victim.check()
