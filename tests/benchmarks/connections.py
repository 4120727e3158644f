"""What clients who only connect cost a server, and what a protocol costs where the model does nothing.

    python -m tests.benchmarks.connections

The server is `yt8m serve` with a model of next to no weights. Seconds are the least of the rounds: the machine may have
other things to do.
"""

import argparse
import base64
import contextlib
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import requests

from serving.client.client import PredictClient
from serving.store import model_store
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.records import random_example
from tests.serving.tiny_model import write_tiny_model
from trainer.data.yt8m import MAX_FRAMES

CONNECTIONS, HALF_SENT, BATCH = 2000, 300, 8


@dataclass(frozen=True, kw_only=True)
class _Server:
    """A server in a process of its own."""

    pid: int
    port: int
    http_port: int

    def threads(self) -> int:
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Threads"))


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CONNECTIONS), hard))  # the server gets it, too
    with tempfile.TemporaryDirectory() as place, _serving(place) as server:
        by_grpc, by_http = (_connecting(port, arguments.rounds) for port in (server.port, server.http_port))
        yield Figure(
            name=f"{CONNECTIONS} connections to the HTTP port",
            value=by_http,
            unit="s",
            ratio=by_http / by_grpc,
            yardstick=f"to the gRPC port, {by_grpc:.3g} s",
            goal=2.0,
            at="most",
        )
        before = server.threads()
        head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"
        with _connected(server.http_port, HALF_SENT, head):
            time.sleep(1.0)
            more = server.threads() - before
        yield Figure(
            name=f"threads of {HALF_SENT} half-sent requests", value=more, unit="", goal=0, at="most"
        )
        grpc_seconds, rest_seconds = _asking(server, arguments.rounds)
        yield Figure(
            name=f"{BATCH} videos over REST to a model that does nothing",
            value=rest_seconds * 1e3,
            unit="ms",
            ratio=rest_seconds / grpc_seconds,
            yardstick=f"over gRPC, {grpc_seconds * 1e3:.3g} ms",
        )


@contextlib.contextmanager
def _serving(place: str) -> Iterator[_Server]:
    model_store.publish(write_tiny_model(f"{place}/model"), f"{place}/base")
    with socket.create_server(("127.0.0.1", 0)) as free:
        http_port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline.cli.main", "serve", f"{place}/base", "--port", "0"]
    command += ["--model-name", "m", "--http-port", str(http_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            port = int(process.stdout.readline().rpartition(":")[2])
            yield _Server(pid=process.pid, port=port, http_port=http_port)
        finally:
            process.terminate()


@contextlib.contextmanager
def _connected(port: int, count: int, head: bytes = b"") -> Iterator[float]:
    """So many connections, which have sent `head`; the seconds that they took."""
    with contextlib.ExitStack() as stack:
        begin = time.perf_counter()
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(head)
        yield time.perf_counter() - begin


def _connecting(port: int, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        with _connected(port, CONNECTIONS) as taken:
            seconds.append(taken)
        time.sleep(0.5)  # until the server has noticed that they are gone
    return min(seconds)


def _asking(server: _Server, rounds: int) -> tuple[float, float]:
    """Seconds of a request over gRPC and over REST, making it and reading the answer included."""
    videos = [random_example(np.random.default_rng(number), MAX_FRAMES) for number in range(BATCH)]
    url = f"http://127.0.0.1:{server.http_port}/v1/models/m:predict"
    with PredictClient(f"127.0.0.1:{server.port}", "m") as client, requests.Session() as session:

        def by_rest() -> None:
            rows = [{"b64": base64.b64encode(video).decode()} for video in videos]
            answer = session.post(url, data=json.dumps({"instances": rows}))
            answer.raise_for_status()
            answer.json()

        return _least(lambda: client.predict(videos), 8 * rounds), _least(by_rest, 8 * rounds)


def _least(action: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=whole(), default=3)


if __name__ == "__main__":
    main(__doc__, figures, options)
