"""Training from TFRecord files, against what the machine's matrix products reach at best.

    python -m tests.benchmarks.training_step --variant K16-H512 --rounds 8

The yardstick is tf.matmul of two 4096 x 4096 float32 matrices. The operations of a step are counted from its
products alone, a frame for each that was drawn; the goal was set by the 37.3 GFLOP of the authors' graph. Equal
mathematics: the losses of 20 steps on batches of `--compared-batch` videos against those of
`tests.trainer.reference_step`. GAP in bfloat16: of K4-H64 after 100 steps on the sample's videos, in both precisions.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator

import tensorflow as tf

from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import in_turns, write_videos
from tests.trainer.reference_step import ReferenceStep
from trainer.data.input_pipeline import train_batches
from trainer.data.sample import write_sample
from trainer.data.yt8m import MAX_FRAMES
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.huge_pages import STEPS_TO_ALLOCATE, use_huge_pages_for
from trainer.training.loop import train
from trainer.training.step import TrainingStep

_PEAK_SIZE = 4096
_STEPS_A_TURN = 3
_COMPARED_STEPS = 20
_AUTHORS_OPERATIONS = {("K16-H512", 80, 300): 37.3e9}
"""Counted in the graph of the authors' code, by variant, batch and frames."""
_GAP_VARIANT = ModelSpec.parse("K4-H64")
_GAP_CONFIG = TrainingConfig(
    steps=100,
    batch_size=64,
    frames_per_video=30,
    learning_rate=0.003,
    batch_norm_decay=0.9,
    snapshot_every=100,
    state_every=100,
    eval_slice=0,
)


def operations(variant: ModelSpec, batch: int, frames: int) -> int:
    """Floating-point operations of a step's matrix products, forward and backward."""
    dense = batch * sum(
        spec.shape[0] * spec.shape[1]
        for spec in variant.tensors
        if len(spec.shape) == 2 and "cluster" not in spec.name
    )
    clusters = (
        batch
        * frames
        * sum(
            spec.shape[0] * spec.shape[1] for spec in variant.tensors if spec.name.endswith("cluster_weights")
        )
    )
    # A dense product has two in its gradient. The frames have none, so each of the two with them has one.
    return 2 * (3 * dense + 4 * clusters)


class _Training:
    """Training in a precision, its steps timed apart from the waits for their batches."""

    def __init__(self, arguments: argparse.Namespace, files: list[str], precision: str) -> None:
        config = TrainingConfig(batch_size=arguments.batch, precision=precision)
        self._step = TrainingStep(arguments.variant, config)
        batches = train_batches(
            files,
            batch_size=arguments.batch,
            frames_per_video=arguments.frames,
            seed=0,
            shuffle_buffer=2 * arguments.batch,
            files_per_group=len(files),
        )
        self._batches = iter(batches)
        self._count = itertools.count()
        self.waits: list[float] = []

    def steps(self) -> None:
        for _ in range(_STEPS_A_TURN):
            begin = time.perf_counter()
            batch = next(self._batches)
            self.waits.append(time.perf_counter() - begin)
            count = next(self._count)
            self._step.run(batch, count).loss.numpy()
            if count + 1 == STEPS_TO_ALLOCATE:
                use_huge_pages_for(self._step.spec)  # as the Trainer component does


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    name = f"{arguments.variant}, batch {arguments.batch} x {arguments.frames} frames, from files"
    work = operations(arguments.variant, arguments.batch, arguments.frames)
    shape = (str(arguments.variant), arguments.batch, arguments.frames)
    authors = _AUTHORS_OPERATIONS.get(shape, work)
    with tempfile.TemporaryDirectory() as place:
        files = write_videos(place, 4, arguments.batch, arguments.frames)
        one, waiting, peak = _measured(arguments, files, "float32", arguments.rounds)
        yield Figure(
            name=f"training, {name}",
            value=arguments.batch / one,
            unit="videos/s",
            ratio=authors / one / peak,
            yardstick=f"4096-cubed float32 product, {peak / 1e9:.0f} GFLOP/s, by {authors / 1e9:.1f} GFLOP a step "
            f"(by the {work / 1e9:.1f} of the products {work / one / peak:.3f})",
            goal=0.5,
        )
        yield Figure(
            name=f"of that, waiting for data, {name}",
            value=100 * waiting,
            unit="%",
            goal=2.0,
            at="most",
        )
        half, _, _ = _measured(arguments, files, "bfloat16", 1)
        yield Figure(
            name=f"training in bfloat16, {name}",
            value=arguments.batch / half,
            unit="videos/s",
            ratio=one / half,
            yardstick="the same in float32",
        )
        yield _compared(arguments, files)
        yield _gap_in_bfloat16(place)


def _measured(
    arguments: argparse.Namespace, files: list[str], precision: str, rounds: int
) -> tuple[float, float, float]:
    """Seconds a step, the share of them that is waiting, and the operations a second of the yardstick."""
    matrix = tf.random.normal([_PEAK_SIZE, _PEAK_SIZE])
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    training = _Training(arguments, files, precision)
    times = in_turns({"peak": lambda: product()[0, 0].numpy(), "steps": training.steps}, rounds)
    waits = training.waits[_STEPS_A_TURN:]  # the first turn starts the pipeline
    peak = 2 * _PEAK_SIZE**3 / statistics.median(times["peak"])
    return statistics.median(times["steps"]) / _STEPS_A_TURN, sum(waits) / sum(times["steps"]), peak


def _compared(arguments: argparse.Namespace, files: list[str]) -> Figure:
    config = TrainingConfig(batch_size=arguments.compared_batch)
    fast = TrainingStep(arguments.variant, config)
    literal = ReferenceStep(fast.weights(), config)
    batches = train_batches(
        files,
        batch_size=arguments.compared_batch,
        frames_per_video=arguments.frames,
        seed=1,
        shuffle_buffer=arguments.batch,
        files_per_group=len(files),
    )
    largest = 0.0
    for step, batch in enumerate(itertools.islice(batches, _COMPARED_STEPS)):
        expected = literal.run(batch, step)
        largest = max(largest, abs(float(fast.run(batch, step).loss) / expected - 1.0))
    return Figure(
        name=f"loss of {_COMPARED_STEPS} steps of {arguments.variant}, batch {config.batch_size}: largest difference",
        value=largest,
        unit="of the loss of the literal step",
        goal=1e-4,
        at="most",
    )


def _gap_in_bfloat16(place: str) -> Figure:
    files = write_sample(os.path.join(place, "sample"))
    parts = {
        kind: [path for path in files if kind in os.path.basename(path)] for kind in ("train", "validate")
    }
    gaps = {}
    for precision in ("float32", "bfloat16"):
        config = _GAP_CONFIG.model_copy(update={"precision": precision})
        directory = os.path.join(place, precision)
        trained = train(_GAP_VARIANT, config, parts["train"], parts["validate"], directory)
        scorer = Scorer(_GAP_VARIANT, variables=trained.variables)
        gaps[precision] = evaluate(scorer, parts["validate"]).gap
    return Figure(
        name=f"GAP of {_GAP_VARIANT} trained in bfloat16, {_GAP_CONFIG.steps} steps on the sample",
        value=gaps["bfloat16"],
        unit="GAP",
        ratio=gaps["bfloat16"] / gaps["float32"],
        yardstick=f"the same in float32, {gaps['float32']:.4f}",
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", type=ModelSpec.parse, default="K16-H512")
    parser.add_argument("--batch", type=whole(), default=80)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=300)
    parser.add_argument("--rounds", type=whole(), default=6)
    parser.add_argument("--compared-batch", type=whole(), default=4)


if __name__ == "__main__":
    main(__doc__, figures, _options)
