"""What decoding float16 weights once, at load, saves: the time of one Predict of the same model in three forms.

    python -m tests.benchmarks.decode_at_load --variant K16-H512 --rounds 20

They are: stored in float32; stored in float16 and decoded at load; and cast in the graph at every request, the authors'
way.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from serving.export.codecs import FLOAT16
from serving.export.compression import compress
from serving.export.saved_model import Member, _Ensemble, _Member, write_saved_model
from serving.server.servable import Servable
from tests.benchmarks.figures import Figure, main
from tests.records import random_example
from trainer.data.yt8m import MAX_FRAMES, NUM_CLASSES
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights


class _CastMember(_Member):
    """Casts each stored tensor at every request."""

    def weights(self) -> dict[str, tf.Tensor]:
        return {name: tf.cast(variable.read_value(), tf.float32) for name, variable in self.stored.items()}


def _write_cast_in_graph(directory: str, member: Member) -> None:
    ensemble = _Ensemble([member], member.spec.num_classes)
    ensemble.members = [_CastMember(member, "cast")]
    tf.saved_model.save(ensemble, directory, signatures={"serving_default": ensemble.serving_default})


class _Timed:
    """A loaded form and the seconds of its requests."""

    def __init__(self, directory: str, threads: int) -> None:
        self._servable = Servable(directory, "m", 1, threads)
        signature = self._servable.signatures["serving_default"]
        self._feed = signature.inputs["examples"].name
        self._fetches = [signature.outputs[alias].name for alias in ("classes", "scores")]
        self.seconds: list[float] = []

    def ask(self, rows: np.ndarray) -> None:
        begin = time.perf_counter()
        self._servable.run({self._feed: rows}, self._fetches)
        self.seconds.append(time.perf_counter() - begin)


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    spec = ModelSpec.parse(arguments.variant, arguments.classes)
    weights = initial_weights(spec, 0)
    small = Member(spec=spec, weights=compress(spec, weights, FLOAT16))
    rows = np.array([random_example(np.random.default_rng(0), arguments.frames)], object)
    with tempfile.TemporaryDirectory() as place:
        write_saved_model(f"{place}/float32", [Member(spec=spec, weights=weights)])
        write_saved_model(f"{place}/decoded", [small])
        _write_cast_in_graph(f"{place}/cast", small)
        forms = {
            name: _Timed(f"{place}/{name}", arguments.threads) for name in ("float32", "decoded", "cast")
        }
        for turn in range(arguments.rounds + 2):
            # In turns, so that what else the machine does falls on all three.
            for form in forms.values():
                form.ask(rows)
                if turn < 2:  # the first requests set things up
                    form.seconds.clear()
    milliseconds = {name: 1000 * statistics.median(form.seconds) for name, form in forms.items()}
    yield Figure(
        name=f"Predict of {spec}, float16 decoded at load",
        value=milliseconds["decoded"],
        unit="ms",
        ratio=milliseconds["decoded"] / milliseconds["float32"],
        yardstick=f"stored in float32, {milliseconds['float32']:.1f} ms",
        goal=1.05,
        at="most",
    )
    yield Figure(
        name="the same, float16 cast at every request",
        value=milliseconds["cast"],
        unit="ms",
        ratio=milliseconds["cast"] / milliseconds["decoded"],
        yardstick=f"decoded at load, {milliseconds['decoded']:.1f} ms",
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", default="K16-H512")
    parser.add_argument("--classes", type=int, default=NUM_CLASSES)
    parser.add_argument("--frames", type=int, default=MAX_FRAMES)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="Of TensorFlow's pools.")


if __name__ == "__main__":
    main(__doc__, figures, _options)
