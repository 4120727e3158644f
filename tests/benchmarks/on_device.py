"""What a LiteRT file takes of a device: MiB, milliseconds a video and memory, one thread, against the SavedModel.

    python -m tests.benchmarks.on_device --variants K8-H512 --weights int8 int4

The weights are random: sizes and times do not depend on them. A video is asked for at a time, as a device does.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np

from serving.export.device_weights import DeviceWeights
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.process import peak_memory
from trainer.base.units import MIB
from trainer.data.yt8m import MAX_FRAMES
from trainer.model.model_spec import ModelSpec

LARGEST_MIB = {("K8-H512", DeviceWeights.INT8): 65, ("K8-H512", DeviceWeights.INT4): 36}
MOST_MEMORY = 1.3
WHOLE = (DeviceWeights.INT8, DeviceWeights.INT4)
"""The weights that are multiplied as they are stored."""


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as place:
        _apart(_write, place, arguments.variants, arguments.weights)
        name = " + ".join(map(str, arguments.variants))
        tensorflow = _apart(_time_saved_model, f"{place}/model", arguments.frames, arguments.rounds)
        for weights in arguments.weights:
            path = f"{place}/{weights}.tflite"
            size = os.path.getsize(path) / MIB
            yield Figure(
                name=f"LiteRT file of {name}, {weights}",
                value=size,
                unit="MiB",
                goal=LARGEST_MIB.get((name, weights)),
                at="most",
            )
            for packed in (False, True):
                what = "the same" + (", by XNNPACK" if packed else "")
                seconds, memory = _apart(_time_litert, path, packed, arguments.frames, arguments.rounds)
                has_goal = weights in WHOLE and not packed
                yield Figure(
                    name=f"{what}, a video of {arguments.frames} frames",
                    value=1e3 * seconds,
                    unit="ms",
                    ratio=seconds / tensorflow,
                    yardstick=f"SavedModel in TensorFlow, {1e3 * tensorflow:,.1f} ms",
                    goal=1.0 if has_goal else None,
                    at="most",
                )
                yield Figure(
                    name=f"{what}, most memory of the interpreter",
                    value=memory / MIB,
                    unit="MiB",
                    ratio=memory / MIB / size,
                    yardstick="the file",
                    goal=MOST_MEMORY if has_goal else None,
                    at="most",
                )


def _apart(work, *arguments):
    """The result of a function in a process of its own, whose memory is its own."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=_answer, args=(there, work, arguments))
    process.start()
    try:
        return here.recv()
    finally:
        process.join()


def _answer(there: Connection, work, arguments) -> None:
    there.send(work(*arguments))


def _write(place: str, specs: list[ModelSpec], forms: list[DeviceWeights]) -> None:
    from serving.export.codecs import FLOAT16
    from serving.export.compression import compress
    from serving.export.litert import write_litert
    from serving.export.saved_model import Member, write_saved_model
    from trainer.model.weights import initial_weights

    members = [
        Member(spec=spec, weights=compress(spec, initial_weights(spec, seed), FLOAT16), weight=1 / len(specs))
        for seed, spec in enumerate(specs)
    ]
    write_saved_model(f"{place}/model", members)
    for weights in forms:
        write_litert(f"{place}/model", f"{place}/{weights}.tflite", weights)


def _time_saved_model(directory: str, frames: int, rounds: int) -> float:
    """Median seconds of a video by the signature that takes frames, with one thread."""
    from serving.server.models.servable import Servable

    servable = Servable(directory, "m", 1, threads=1)
    signature = servable.signatures["predict_frames"]
    feeds = {signature.inputs[name].name: value for name, value in _video(frames).items()}
    fetches = [signature.outputs[name].name for name in ("classes", "scores")]
    return _median(lambda: servable.run(feeds, fetches), rounds)


def _time_litert(path: str, packed: bool, frames: int, rounds: int) -> tuple[float, int]:
    """Median seconds of a video, and by how many bytes the interpreter raised this process's memory at most."""
    # The program itself is not the model's memory.
    import ai_edge_litert.interpreter  # noqa: F401

    from serving.inference.litert_model import LiteRtModel

    video = _video(frames)
    with peak_memory() as memory:
        model = LiteRtModel(path, packed=packed)
        seconds = _median(lambda: model.run(**video), rounds)
    return seconds, memory.bytes


def _video(frames: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "rgb": generator.integers(0, 256, (1, frames, 1024), np.uint8),
        "audio": generator.integers(0, 256, (1, frames, 128), np.uint8),
        "num_frames": np.array([frames], np.int32),
    }


def _median(work, rounds: int) -> float:
    times = []
    for turn in range(rounds + 2):
        begin = time.perf_counter()
        work()
        if turn >= 2:  # the first ones set things up
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variants", type=ModelSpec.parse, nargs="+", default=[ModelSpec.parse("K8-H512")])
    parser.add_argument("--weights", type=DeviceWeights, nargs="+", default=list(DeviceWeights))
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=MAX_FRAMES)
    parser.add_argument("--rounds", type=whole(), default=30)


if __name__ == "__main__":
    main(__doc__, figures, options)
