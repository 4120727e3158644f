"""NeXtVLAD's and a recurrent family's training step, and NeXtVLAD's evaluation.

    python -m tests.benchmarks.families --batch 16 --rounds 3

The yardstick of a step is tf.matmul of two 4096 x 4096 float32 matrices. A step's operations are counted from its
matrix products alone, a frame for each that is in the batch. The yardstick of the evaluation from files to GAP is the
bare forward pass on a batch that lies in memory. Recurrent families are told, without a goal: their products are
small, one frame after the other.

Legend: B videos, T frames, D features of a frame, E expanded features, G groups, K clusters, H width of a state.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import check_videos, in_turns, write_videos
from trainer.base.memory import keep_freed_memory
from trainer.data.input_pipeline import eval_batches
from trainer.data.yt8m import FRAME_SIZE, MAX_FRAMES
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights
from trainer.training.config import TrainingConfig
from trainer.training.step import TrainingStep

_PEAK_SIZE = 4096
_EVERY_FRAME = ("expansion/weights", "attention/weights", "cluster_weights", "inputs/weights")
# Below layer<i>/: the mixture of experts has gates/weights, too.
_EVERY_STATE = ("/gates/weights", "/candidate/weights", "/recurrent/weights")


def operations(spec: ModelSpec, batch: int, frames: int) -> int:
    """Floating-point operations of a step's matrix products, forward and backward, by the shapes of the kernels."""
    total = 0
    for tensor in spec.tensors:
        if tensor.name.endswith(
            "cluster_centers"
        ):  # [1, E / G, K]: each frame's E features are added to K clusters
            _, features, clusters = tensor.shape
            expanded = next(
                one.shape[1] for one in spec.tensors if one.name == _beside(tensor.name, "expansion/weights")
            )
            assert expanded % features == 0
            total += 3 * batch * frames * expanded * clusters
        elif len(tensor.shape) == 2:
            rows = batch * frames if tensor.name.endswith(_EVERY_FRAME + _EVERY_STATE) else batch
            # Frames have no gradient, so a product with them has one in its gradient, others two.
            of_input = tensor.name.endswith("expansion/weights") or tensor.name == "layer1/inputs/weights"
            total += (2 if of_input else 3) * rows * tensor.size
    return 2 * total


def _beside(name: str, other: str) -> str:
    return f"{name.rpartition('/')[0]}/{other}"


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    check_videos(arguments.videos, 2, arguments.batch)
    keep_freed_memory()
    matrix = tf.random.normal([_PEAK_SIZE, _PEAK_SIZE])
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    for spec, goal in ((arguments.variant, 0.5), (arguments.recurrent, None)):
        step, batch = _training(spec, arguments)
        times = in_turns({"peak": lambda: product()[0, 0].numpy(), "step": step}, arguments.rounds)
        del step
        taken = statistics.median(times["step"])
        peak = 2 * _PEAK_SIZE**3 / statistics.median(times["peak"])
        work = operations(spec, arguments.batch, batch["frames"].shape[1])
        yield Figure(
            name=f"training step of {spec}, batch {arguments.batch} x {arguments.frames} frames",
            value=arguments.batch / taken,
            unit="videos/s",
            ratio=work / taken / peak,
            yardstick=f"4096-cubed float32 product, {peak / 1e9:.0f} GFLOP/s, by {work / 1e9:.1f} GFLOP a step",
            goal=goal,
        )
    yield _evaluation(arguments)


def _training(spec: ModelSpec, arguments: argparse.Namespace):
    step = TrainingStep(spec, TrainingConfig(batch_size=arguments.batch))
    generator = np.random.default_rng(0)
    batch = {
        "frames": generator.integers(0, 256, (arguments.batch, arguments.frames, FRAME_SIZE), np.uint8),
        "counts": np.ones((arguments.batch, arguments.frames), np.float32),
        "labels": generator.random((arguments.batch, spec.num_classes)) < 3 / spec.num_classes,
    }
    return lambda: step.run(batch, 0).loss.numpy(), batch


def _evaluation(arguments: argparse.Namespace) -> Figure:
    spec = arguments.variant
    scorer = Scorer(spec)
    scorer.load(initial_weights(spec, 0))
    with tempfile.TemporaryDirectory() as place:
        files = write_videos(place, 2, arguments.videos // 2, arguments.frames)
        batch = next(iter(eval_batches(files, arguments.batch)))
        turns = {
            "forward": lambda: [scorer.scores(batch) for _ in range(arguments.videos // arguments.batch)],
            "whole": lambda: evaluate(scorer, files, arguments.batch),
        }
        taken = {name: statistics.median(each) for name, each in in_turns(turns, arguments.rounds).items()}
    return Figure(
        name=f"evaluation of {spec}, {arguments.frames} frames, files to GAP",
        value=arguments.videos / taken["whole"],
        unit="videos/s",
        ratio=taken["forward"] / taken["whole"],
        yardstick=f"its bare forward pass, {arguments.videos / taken['forward']:,.0f} videos/s",
        goal=0.7,
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", type=ModelSpec.parse, default="NeXtVLAD-G8-K112-H2048")
    parser.add_argument("--recurrent", type=ModelSpec.parse, default="GRU-L2-H1200")
    parser.add_argument("--batch", type=whole(), default=16)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=300)
    parser.add_argument("--videos", type=whole(), default=96)
    parser.add_argument("--rounds", type=whole(), default=3)


if __name__ == "__main__":
    main(__doc__, figures, _options)
