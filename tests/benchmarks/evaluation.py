"""From TFRecord files to GAP in one process, against the bare forward pass; and the memory of `yt8m evaluate`.

    python -m tests.benchmarks.evaluation --variant K16-H512 --rounds 3

Both ways are measured: weights in a Scorer, as the averager and the Trainer evaluate, and a SavedModel, which has
TensorFlow's operations alone, as `yt8m evaluate` does. The yardstick of each is its own network on a batch of frames
that lies in memory.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from serving.export.saved_model import FRAME_PREDICTIONS, Member, write_saved_model
from serving.inference.scoring import SavedModelScorer, score_videos
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import check_videos, in_turns, write_videos
from trainer.base.memory import keep_freed_memory
from trainer.base.prefetch import prefetch
from trainer.data.input_pipeline import Batch, eval_batches
from trainer.data.labels import label_rows
from trainer.data.yt8m import MAX_FRAMES, NUM_CLASSES, RGB_SIZE
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.video_metrics import VideoMetrics
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

_SHARDS = 4


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    check_videos(arguments.videos, _SHARDS, arguments.batch)
    keep_freed_memory()  # as `yt8m evaluate` does
    weights = initial_weights(arguments.variant, 0)
    scorer = Scorer(arguments.variant)
    scorer.load(weights)
    with tempfile.TemporaryDirectory() as place:
        files = write_videos(place, _SHARDS, arguments.videos // _SHARDS, arguments.frames)
        model = os.path.join(place, "model")
        write_saved_model(model, [Member(spec=arguments.variant, weights=weights)])
        del weights
        saved = SavedModelScorer(model)
        batch = next(iter(eval_batches(files, arguments.batch)))
        times = range(arguments.videos // arguments.batch)
        turns = {
            ("weights", "forward"): lambda: [scorer.scores(batch) for _ in times],
            ("weights", "whole"): lambda: evaluate(scorer, files, arguments.batch),
            ("a SavedModel", "forward"): _forward(model, batch, times),
            ("a SavedModel", "whole"): lambda: _measure(saved, files, arguments.batch),
        }
        taken = {name: statistics.median(each) for name, each in in_turns(turns, arguments.rounds).items()}
        for name in ("weights", "a SavedModel"):
            forward, whole = taken[name, "forward"], taken[name, "whole"]
            yield Figure(
                name=f"evaluation of {name}, {arguments.variant}, {arguments.frames} frames, files to GAP",
                value=arguments.videos / whole,
                unit="videos/s",
                ratio=forward / whole,
                yardstick=f"its bare forward pass, {arguments.videos / forward:,.0f} videos/s",
                goal=0.7,
            )
        yield Figure(
            name=f"peak memory of yt8m evaluate, {arguments.variant}",
            value=_peak_mebibytes(model, files),
            unit="MiB",
            goal=2048,
            at="most",
        )


def _forward(model: str, batch: Batch, times: range) -> Callable[[], object]:
    loaded = tf.saved_model.load(model)
    frames = tf.constant(batch["frames"])
    inputs = {
        "rgb": frames[:, :, :RGB_SIZE],
        "audio": frames[:, :, RGB_SIZE:],
        "num_frames": tf.constant(batch["num_frames"]),
    }
    # With the model itself: the decoded weights go when it does.
    return lambda: [loaded.signatures[FRAME_PREDICTIONS](**inputs)["predictions"].numpy() for _ in times]


def _measure(scorer: SavedModelScorer, files: list[str], batch: int) -> None:
    metrics = VideoMetrics(NUM_CLASSES)
    for videos, scores in prefetch(score_videos(scorer, files, batch)):
        metrics.update(scores, label_rows(videos, NUM_CLASSES))
    metrics.result()


def _peak_mebibytes(model: str, files: list[str]) -> float:
    """Of `yt8m evaluate`, from the system's own high-water mark."""
    command = [sys.executable, "-m", "pipeline.cli.main", "evaluate", "--model", model]
    for path in files:
        command += ["--data", path]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            # Not getrusage: its mark also holds this process as it was when it forked.
            match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(match[1]) if match else 0)
            time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1024


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", type=ModelSpec.parse, default="K16-H512")
    parser.add_argument("--videos", type=whole(), default=640)
    parser.add_argument("--batch", type=whole(), default=64)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=300)
    parser.add_argument("--rounds", type=whole(), default=3)


if __name__ == "__main__":
    main(__doc__, figures, _options)
