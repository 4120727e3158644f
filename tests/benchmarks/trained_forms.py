"""What it is worth to train towards a stored form, against storing what was trained without a thought of it.

    python -m tests.benchmarks.trained_forms RUN/artifacts/YouTube8MExampleGen/examples/3 --variant MLP-H2048 \\
        --model RUN/artifacts/CheckpointAverager-MLP-H2048/model/32/Format-Serving --steps 400 --rate 0.0002

EXAMPLES has the splits of a run: train is trained on, eval chooses, holdout judges. With `--model` training goes on
from that model, at a rate that falls along half a cosine; without, it is the recipe's whole training. Either way it is
done once plainly, whose best average is then stored in each form in one shot, and once for each form (see
`tests.benchmarks.trainable_forms`): from `--begin` on, where pruning is complete at `--end`.

Batch statistics are measured anew behind each stored form. It is no part of `make bench`: each training takes minutes.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.cli.guard import guarded
from pipeline.recipe.loader import load_recipe
from serving.export.saved_model import read_weights
from tests.argument_types import real, whole
from tests.benchmarks.trainable_forms import Form, Hook, big_shapes, form_of
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
        hook = form.hook({name: step.variables[name] for name in big_shapes(self.spec)}, begin, end)
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
    parser.add_argument("--steps", type=whole(), help="default: the recipe's")
    parser.add_argument("--rate", type=real(1e-9), help="learning rate with --model; default: the recipe's")
    parser.add_argument("--begin", type=real(0, 1), default=0.0, help="share of the steps")
    parser.add_argument("--end", type=real(0, 1), default=0.5, help="share of the steps")
    parser.add_argument("--averages", nargs="+", type=real(0, 1), default=[0.25, 0.5, 0.75])
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
    guarded(main)
