"""What it is worth to train towards a stored form, against storing what was trained without a thought of it.

    python -m tests.benchmarks.trained_forms RUN/artifacts/YouTube8MExampleGen/examples/3 --variant MLP-H2048 \\
        --model RUN/artifacts/CheckpointAverager-MLP-H2048/model/32/Format-Serving --steps 400 --rate 0.0002

EXAMPLES has the splits of a run: train is trained on, eval chooses, holdout judges. With `--model` training goes on
from that model, at a rate that falls along half a cosine; without, it is the recipe's whole training. Either way it is
done once plainly, whose best average is then stored in each form in one shot, and once for each form:

- integers (int4-b64, and with fewer bits int3-b64 and int2-b64, which are no codecs): from `--begin` on, kernels are
  rounded in the forward pass, and the gradient of a rounded kernel is taken for that of the kernel (straight-through;
  Bengio et al. 2013, https://arxiv.org/abs/1308.3432, Jacob et al. 2018, https://arxiv.org/abs/1712.05877);
- sparse-k30-int8 and the like: from `--begin` to `--end` the share of zeros rises along a cubic, those of least
  magnitude in each column first (Zhu & Gupta 2017, https://arxiv.org/abs/1710.01878); after `--end` they stay.

Batch statistics are measured anew behind each stored form. It is no part of `make bench`: each training takes minutes.

Legend: P rows of a kernel, Q its columns, b rows of a block.
"""

import argparse
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from pipeline.recipe.loader import load_recipe
from serving.export.codecs.rounding import block_scales, calibrated_rounding, round_to
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import read_weights
from serving.export.stored_form import StoredForm
from trainer.base.memory import keep_freed_memory
from trainer.data.input_pipeline import Batch, eval_batches, train_batches
from trainer.data.manifest import MANIFEST, example_files
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.second_moments import second_moments
from trainer.model.model_spec import ModelSpec
from trainer.model.product import Product
from trainer.model.weights import Arrays, initial_weights
from trainer.training import step as training_step
from trainer.training.config import TrainingConfig
from trainer.training.step import TrainingStep

_CALIBRATION, _STATISTICS, _BATCH = 3_000, 8_000, 64
_EVERY = 25
"""Steps after which scales or masks are chosen anew."""
_SHRINKS = np.linspace(1.0, 0.7, 7)


class Hook:
    """What is done to the kernels in each step of a training."""

    def product(self, kernel: tf.Variable) -> Product:
        """Stands in for a kernel in a step."""
        return Product(kernel)

    def before(self, step: int) -> None:
        """Is called before each step, with its number."""

    def after(self) -> None:
        """Is called after each step."""


class Form(Protocol):
    """A stored form of a model."""

    name: str

    def bytes(self, spec: ModelSpec) -> float:
        """Bytes of the tensors as stored."""

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        """The weights as they are after loading; `statistics` as `compress` takes them."""

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        """What trains the big kernels towards this form, between these steps."""


@dataclass(frozen=True)
class Integers:
    """Whole numbers of so many bits and a float16 scale for each block of rows, as int4-b64 has them."""

    bits: int
    block: int

    @property
    def name(self) -> str:
        return f"int{self.bits}-b{self.block}"

    @property
    def largest(self) -> int:
        return 2 ** (self.bits - 1) - 1

    def bytes(self, spec: ModelSpec) -> float:
        scales = sum(2 * -(-shape[0] // self.block) * shape[1] for shape in _big_shapes(spec).values())
        return scales + sum(
            tensor.size * (self.bits / 8 if tensor.compressible else 4) for tensor in spec.tensors
        )

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        kernels = {name: self._rounded(weights[name], statistics.get(name)) for name in _big_shapes(spec)}
        return {**weights, **kernels}

    def _rounded(self, kernel: np.ndarray, statistics: np.ndarray | None) -> np.ndarray:
        if statistics is None:
            scales = block_scales(kernel, self.block, self.largest)
            return round_to(kernel, self._each_row(scales, kernel), self.largest) * self._each_row(
                scales, kernel
            )
        values, scales = calibrated_rounding(kernel, statistics, self.block, self.largest)
        return values * self._each_row(scales, kernel)

    def _each_row(self, scales: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return np.repeat(scales.astype(np.float32), self.block, axis=0)[: len(kernel)]

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        del end
        return _Rounding(self, kernels, begin)


class _RoundedProduct(Product):
    """A kernel of which the forward pass sees the rounded one; its gradient is as if there were no rounding."""

    def __init__(self, kernel: tf.Variable, rounded: tf.Tensor) -> None:
        super().__init__(kernel)
        self._kernel = rounded

    def _as_tensor(self) -> tf.Tensor:
        # A tape watches variables, and the rounded kernel is none: its gradient would be 0 and nobody would see it.
        raise TypeError("the kernel of a family that this benchmark rounds is used in products alone")


class _Rounding(Hook):
    """Rounds the kernels in the forward pass, by scales of least squared error that are found anew now and then."""

    def __init__(self, form: Integers, kernels: Mapping[str, tf.Variable], begin: int) -> None:
        self._form, self._begin = form, begin
        self._kernels = {kernel.ref(): name for name, kernel in kernels.items()}
        self._scales = {
            name: tf.Variable(
                tf.zeros([-(-kernel.shape[0] // form.block), 1, kernel.shape[1]]), trainable=False
            )
            for name, kernel in kernels.items()
        }
        self._choose = [
            tf.function(lambda kernel=kernel, scales=self._scales[name]: scales.assign(self._best(kernel)))
            for name, kernel in kernels.items()
        ]

    def before(self, step: int) -> None:
        if (step - self._begin) % _EVERY == 0:
            for choose in self._choose:
                choose()

    def product(self, kernel: tf.Variable) -> Product:
        name = self._kernels.get(kernel.ref())
        if name is None:
            return Product(kernel)
        rounded = self._rounded(self._blocks(kernel), tf.convert_to_tensor(self._scales[name]))
        return _RoundedProduct(kernel, tf.reshape(rounded, [-1, kernel.shape[1]])[: kernel.shape[0]])

    def _blocks(self, kernel: tf.Variable) -> tf.Tensor:
        rows, columns = kernel.shape
        missing = -rows % self._form.block
        whole = tf.pad(kernel, [[0, missing], [0, 0]]) if missing else tf.convert_to_tensor(kernel)
        return tf.reshape(whole, [-1, self._form.block, columns])

    def _rounded(self, blocks: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
        largest = float(self._form.largest)
        return tf.clip_by_value(tf.round(tf.math.divide_no_nan(blocks, scales)), -largest, largest) * scales

    def _best(self, kernel: tf.Variable) -> tf.Tensor:
        blocks = self._blocks(kernel)
        reach = tf.reduce_max(tf.abs(blocks), axis=1, keepdims=True) / self._form.largest
        best, least = reach, tf.fill(tf.shape(reach), np.float32(np.inf))
        for shrink in _SHRINKS:
            scales = tf.cast(tf.cast(reach * shrink, tf.float16), tf.float32)
            error = tf.reduce_sum(tf.square(self._rounded(blocks, scales) - blocks), axis=1, keepdims=True)
            best, least = tf.where(error < least, scales, best), tf.minimum(error, least)
        return best


@dataclass(frozen=True)
class Sparse:
    """A form of the codec `sparse`."""

    name: str

    def bytes(self, spec: ModelSpec) -> float:
        return stored_bytes(spec, StoredForm.parse(self.name))

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        encoded = compress(spec, weights, StoredForm.parse(self.name), statistics)
        return {name: tensor.decode() for name, tensor in encoded.items()}

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        return _Pruning(StoredForm.parse(self.name).codec.kept / 100, kernels, begin, end)


class _Pruning(Hook):
    """Sets weights to 0 after each step, of each column a share that rises: s (1 - (1 - done)^3)."""

    def __init__(self, kept: float, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> None:
        self._kept, self._begin, self._end = kept, begin, end
        self._kernels = kernels
        self._masks = {
            name: tf.Variable(tf.ones(kernel.shape), trainable=False) for name, kernel in kernels.items()
        }
        self.after = tf.function(self._apply)

    def before(self, step: int) -> None:
        if step > self._end or (step - self._begin) % _EVERY:
            return
        done = min(1.0, (step - self._begin) / max(1, self._end - self._begin))
        sparsity = (1 - self._kept) * (1 - (1 - done) ** 3)
        for name, kernel in self._kernels.items():
            magnitude = np.abs(kernel.numpy())
            rows = len(magnitude)
            stay = int(np.ceil(rows * (1 - sparsity) - 1e-6))
            least = np.partition(magnitude, rows - stay, axis=0)[rows - stay]
            self._masks[name].assign((magnitude >= least).astype(np.float32))

    def _apply(self) -> None:
        for name, kernel in self._kernels.items():
            kernel.assign(kernel * self._masks[name])


def form_of(name: str) -> Form:
    """The form of a name."""
    integers = re.fullmatch(r"int(\d)-b(\d+)", name)
    return Integers(*map(int, integers.groups())) if integers else Sparse(name)


def _big_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in spec.tensors if tensor.compressible}


@dataclass(frozen=True)
class Laboratory:
    """A model, its training, and what it is measured on."""

    spec: ModelSpec
    config: TrainingConfig
    files: Mapping[str, Sequence[str]]
    """Of each split."""
    start: Arrays
    """Weights that a training starts from."""
    averages: Sequence[float]
    """Shares of the steps from which on snapshots are averaged, to the last step."""
    scorer: Scorer

    def train(self, form: Form | None, begin: int, end: int) -> tuple[dict[str, Arrays], float]:
        """Trains, from step `begin` on towards a form; the candidates by name, and milliseconds a step from there."""
        step, hook = TrainingStep(self.spec, self.config), Hook()
        step.load(self.start)
        sums: dict[str, Arrays] = {}
        counts: dict[str, int] = {}
        taken = []
        try:
            for number, batch in zip(range(self.config.steps), self._train_batches(), strict=False):
                if form and number == begin:
                    step, hook = self._towards(form, step, begin, end)
                hook.before(number)
                since = time.perf_counter()
                float(step.run(batch, number).loss)
                hook.after()
                if number >= begin:
                    taken.append(time.perf_counter() - since)
                done = number + 1
                if done % self.config.snapshot_every == 0 or done == self.config.steps:
                    for share in self.averages:
                        if done >= share * self.config.steps:
                            name = f"average from {share:.0%}"
                            counts[name] = counts.get(name, 0) + 1
                            _add(sums.setdefault(name, {}), step.weights())
        finally:
            training_step.Product = Product
        candidates = {
            name: {tensor: total / np.float32(counts[name]) for tensor, total in each.items()}
            for name, each in sums.items()
        }
        return {**candidates, "last step": step.weights()}, float(np.median(taken)) * 1000

    def _towards(self, form: Form, before: TrainingStep, begin: int, end: int) -> tuple[TrainingStep, Hook]:
        step = TrainingStep(self.spec, self.config)
        step.load(before.weights())
        step.optimizer.load({name: slot.numpy() for name, slot in before.optimizer.slots.items()})
        hook = form.hook({name: step.variables[name] for name in _big_shapes(self.spec)}, begin, end)
        training_step.Product = hook.product
        return step, hook

    def _train_batches(self) -> Iterator[Batch]:
        config = self.config
        return train_batches(
            self.files["train"],
            batch_size=config.batch_size,
            frames_per_video=config.frames_per_video,
            seed=config.seed,
            shuffle_buffer=config.shuffle_buffer,
            files_per_group=config.files_per_group,
        )

    def gap(self, weights: Arrays, split: str) -> float:
        self.scorer.load(weights)
        return evaluate(self.scorer, self.files[split], _BATCH).gap

    def settled(self, weights: Arrays) -> Arrays:
        """Weights with the statistics of the batch normalisation that they have on the train split."""
        self.scorer.load(weights)
        return {**weights, **self.scorer.statistics(self._some(_STATISTICS))}

    def stored(self, form: Form, weights: Arrays) -> tuple[str, float, float]:
        """Stores settled weights plainly and by their inputs: the better one on eval, its GAP there and on holdout."""
        statistics, _ = second_moments(self.spec, weights, self._some(_CALIBRATION))
        best = ("", 0.0, 0.0)
        for how, given in (("plain", {}), ("by activations", statistics)):
            decoded = self.settled(form.decoded(self.spec, weights, given))
            if (gap := self.gap(decoded, "eval")) > best[1]:
                best = how, gap, self.gap(decoded, "holdout")
        return best

    def _some(self, videos: int) -> Iterator[Batch]:
        return eval_batches(self.files["train"], _BATCH, limit=videos)


def _add(total: Arrays, weights: Arrays) -> None:
    for name, value in weights.items():
        total[name] = total[name] + value if name in total else value


def _row(*cells: object) -> None:
    print(
        "|",
        " | ".join(f"{cell:.5f}" if isinstance(cell, float) else str(cell) for cell in cells),
        "|",
        flush=True,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("examples", help="directory with Split-train, Split-eval and Split-holdout")
    parser.add_argument("--recipe", default="video-level")
    parser.add_argument("--variant", type=ModelSpec.parse, default="MLP-H2048")
    parser.add_argument("--model", help="SavedModel to go on from")
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    parser.add_argument("--rate", type=float, help="learning rate with --model; default: the recipe's")
    parser.add_argument("--begin", type=float, default=0.0, help="share of the steps")
    parser.add_argument("--end", type=float, default=0.5, help="share of the steps")
    parser.add_argument("--averages", nargs="+", type=float, default=[0.25, 0.5, 0.75])
    parser.add_argument(
        "--forms", nargs="+", type=form_of, default=[form_of("int3-b64"), form_of("sparse-k50-int8")]
    )
    arguments = parser.parse_args()
    keep_freed_memory()
    spec = arguments.variant
    config = load_recipe(arguments.recipe).training_of(spec.architecture)
    changed: dict[str, object] = {"steps": arguments.steps or config.steps}
    if arguments.model:
        changed |= {"rate_schedule": "cosine", "warmup_steps": changed["steps"] // 10}
        changed |= {"learning_rate": arguments.rate or config.learning_rate}
    config = config.model_copy(update=changed)
    start = read_weights(arguments.model) if arguments.model else initial_weights(spec, config.seed)
    splits = ("train", "eval", "holdout")
    files = {split: example_files([f"{arguments.examples}/Split-{split}/{MANIFEST}"]) for split in splits}
    lab = Laboratory(spec, config, files, start, arguments.averages, Scorer(spec))
    begin, end = (round(share * config.steps) for share in (arguments.begin, arguments.end))
    _row("form", "MiB", "how", "weights", "GAP, eval split", "holdout", "ms a step")
    _row("---", "---:", "---", "---", "---:", "---:", "---:")
    if arguments.model:
        _tell(lab, None, "as it was", {"": start}, arguments.forms)
    plain, taken = lab.train(None, begin, end)
    _tell(lab, None, "plainly trained", plain, arguments.forms, taken)
    for form in arguments.forms:
        trained, taken = lab.train(form, begin, end)
        _tell(lab, form, "trained towards it", trained, [form], taken)


def _tell(
    lab: Laboratory,
    towards: Form | None,
    how: str,
    candidates: Mapping[str, Arrays],
    forms: Sequence[Form],
    taken: float | None = None,
) -> None:
    """Chooses the best of candidates, by the form that was trained towards or else in float32, and stores it."""
    settled = {name: lab.settled(weights) for name, weights in candidates.items()}
    gaps = {
        name: lab.gap(towards.decoded(lab.spec, weights, {}) if towards else weights, "eval")
        for name, weights in settled.items()
    }
    best = max(gaps, key=lambda name: gaps[name])
    mib, speed = lab.spec.float32_bytes / 2**20, "" if taken is None else f"{taken:.1f}"
    if towards is None:
        _row("float32", f"{mib:.2f}", how, best, gaps[best], lab.gap(settled[best], "holdout"), speed)
    for form in forms:
        rounded, gap, holdout = lab.stored(form, settled[best])
        cells = (form.name, f"{form.bytes(lab.spec) / 2**20:.2f}", how, f"{best}, {rounded}", gap, holdout)
        _row(*cells, speed if towards else "")


if __name__ == "__main__":
    main()
