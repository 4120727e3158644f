"""What serving costs: videos a second of an ensemble asked over gRPC, against a bare loop over the same loaded model,
and asked over REST (TensorFlow Serving's v1, with base64), against gRPC.

    python -m tests.benchmarks.serving --variants K16-H512 K8-H256 --batches 1 8 32

The ensemble has the sizes of the paper's best one (YHLS), stored in float16, with random weights. The server and the
loop share a process, a session and its threads; the client is a process of its own, and its time counts: making the
request and reading the answer, too. Both take turns, so that what else the machine does falls on both.
"""

import argparse
import base64
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import requests

from serving.export.codecs import FLOAT16
from serving.export.compression import compress
from serving.export.saved_model import Member, write_saved_model
from serving.server.server import PredictionServer, ServerOptions
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.records import random_example
from trainer.base.memory import keep_freed_memory
from trainer.data.yt8m import MAX_FRAMES
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

YHLS = ("K24-H1440", "K32-H1024", "K16-H800", "K32-H512")
GOAL, GOAL_BATCH = 0.9, 8
REST_GOAL = 1 / 1.5
"""A request over REST may take one and a half times as long."""


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        # In a process of its own: what it takes to write a model must not weigh on the one that is measured.
        writer = processes.Process(target=_write, args=(place, arguments.variants))
        writer.start()
        writer.join()
        keep_freed_memory()  # as `yt8m serve` does
        options = ServerOptions(tensorflow_threads=arguments.threads, http_port=0)
        with PredictionServer(f"{place}/base", port=0, options=options) as server:
            here, there = processes.Pipe()
            client = processes.Process(
                target=_client, args=(there, server.port, server.http_port, arguments.frames)
            )
            client.start()
            try:
                for batch in arguments.batches:
                    times = _in_turns(server, here, batch, arguments.frames, arguments.rounds)
                    yield from _compared(batch, *times, arguments)
            finally:
                here.send(None)
                client.join()


def _compared(
    batch: int, bare: float, served: float, rest: float, arguments: argparse.Namespace
) -> Iterator[Figure]:
    what = f"ensemble of {len(arguments.variants)} over gRPC, batch {batch}"
    yield Figure(
        name=what,
        value=batch / served,
        unit="videos/s",
        ratio=bare / served,
        yardstick=f"bare loop, {batch / bare:,.4g} videos/s",
        goal=GOAL if batch == GOAL_BATCH else None,
    )
    yield Figure(
        name=f"{what}, p50", value=served * 1e3, unit="ms", yardstick=f"bare loop, {bare * 1e3:,.4g} ms"
    )
    yield Figure(
        name=what.replace("gRPC", "REST"),
        value=batch / rest,
        unit="videos/s",
        ratio=served / rest,
        yardstick=f"gRPC, {batch / served:,.4g} videos/s",
        goal=REST_GOAL if batch == GOAL_BATCH else None,
    )


def _in_turns(
    server: PredictionServer, client: Connection, batch: int, frames: int, rounds: int
) -> tuple[float, float, float]:
    """Median seconds of a batch in the bare loop, over gRPC and over REST."""
    with server._models["yt8m"].lease() as servable:
        signature = servable.signatures["serving_default"]
        feeds = {signature.inputs["examples"].name: np.array(_videos(batch, frames), object)}
        fetches = [signature.outputs[alias].name for alias in ("classes", "scores")]
        bare, served, rest = [], [], []
        for turn in range(rounds + 1):
            bare.append(_timed(lambda: servable.run(feeds, fetches)))
            for protocol, times in (("grpc", served), ("rest", rest)):
                client.send((protocol, batch))
                times.append(client.recv())
            if turn == 0:  # sets things up
                for times in (bare, served, rest):
                    times.clear()
    return statistics.median(bare), statistics.median(served), statistics.median(rest)


def _write(place: str, variants: list[ModelSpec]) -> None:
    members = [
        Member(spec=spec, weights=compress(spec, initial_weights(spec, index), FLOAT16), weight=0.25)
        for index, spec in enumerate(variants)
    ]
    write_saved_model(f"{place}/base/1", members)


def _client(orders: Connection, port: int, http_port: int, frames: int) -> None:
    from serving.client.client import PredictClient

    keep_freed_memory()  # as `yt8m infer` does
    with PredictClient(f"127.0.0.1:{port}", timeout=600) as client, requests.Session() as session:

        def predict_by_rest(videos: list[bytes]) -> None:
            rows = [{"b64": base64.b64encode(video).decode()} for video in videos]
            url = f"http://127.0.0.1:{http_port}/v1/models/yt8m:predict"
            answer = session.post(url, data=json.dumps({"instances": rows}), timeout=600)
            answer.raise_for_status()
            predictions = answer.json()["predictions"]
            for alias in ("classes", "scores"):
                np.array([row[alias] for row in predictions])

        predict = {"grpc": client.predict, "rest": predict_by_rest}
        while (order := orders.recv()) is not None:
            protocol, batch = order
            videos = _videos(batch, frames)
            orders.send(_timed(lambda protocol=protocol, videos=videos: predict[protocol](videos)))


def _videos(count: int, frames: int) -> list[bytes]:
    return [random_example(np.random.default_rng(number), frames) for number in range(count)]


def _timed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variants", type=ModelSpec.parse, nargs="+", default=list(map(ModelSpec.parse, YHLS))
    )
    parser.add_argument("--batches", type=whole(), nargs="+", default=[1, 8, 32])
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=MAX_FRAMES)
    parser.add_argument("--rounds", type=whole(), default=8)
    parser.add_argument(
        "--threads", type=whole(0), default=0, help="Of TensorFlow's pools; 0 lets it choose."
    )


if __name__ == "__main__":
    main(__doc__, figures, options)
