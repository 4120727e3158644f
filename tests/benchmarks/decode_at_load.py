"""What decoding float16 weights once, at load, saves: the time of one Predict of the same model in three forms.

    python -m tests.benchmarks.decode_at_load --variant K16-H512 --rounds 20

prints the median of each and two ratios: decoded at load / stored in float32 (goal: at most 1.05), and cast in
the graph at every request, the authors' way / decoded at load.
"""

import argparse
import statistics
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

from serving.compression import to_float16
from serving.saved_model import Member, _Ensemble, _Member, write_saved_model
from serving.servable import Servable
from tests.records import random_example
from trainer.variant import Variant
from trainer.weights import initial_weights


class _CastMember(_Member):
    """Casts each stored tensor at every request."""

    def weights(self) -> dict[str, tf.Tensor]:
        return {name: tf.cast(variable.read_value(), tf.float32) for name, variable in self.stored.items()}


def _write_cast_in_graph(directory: str, member: Member, num_classes: int) -> None:
    ensemble = _Ensemble([member], num_classes)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", type=Variant.parse, default="K16-H512")
    parser.add_argument("--classes", type=int, default=3862)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="Of TensorFlow's pools.")
    given = parser.parse_args()
    weights = initial_weights(given.variant, 0, given.classes)
    small = Member(variant=given.variant, weights=to_float16(given.variant, weights, given.classes))
    rows = np.array([random_example(np.random.default_rng(0), given.frames)], object)
    with tempfile.TemporaryDirectory() as place:
        write_saved_model(f"{place}/float32", [Member(variant=given.variant, weights=weights)], given.classes)
        write_saved_model(f"{place}/decoded", [small], given.classes)
        _write_cast_in_graph(f"{place}/cast", small, given.classes)
        forms = {name: _Timed(f"{place}/{name}", given.threads) for name in ("float32", "decoded", "cast")}
        for turn in range(given.rounds + 2):
            # In turns, so that what else the machine does falls on all three.
            for form in forms.values():
                form.ask(rows)
                if turn < 2:  # the first requests set things up
                    form.seconds.clear()
    median = {name: statistics.median(form.seconds) for name, form in forms.items()}
    lines = [f"{name:<8} {seconds * 1e3:8.2f} ms" for name, seconds in median.items()]
    lines.append(f"decoded at load / float32:      {median['decoded'] / median['float32']:.3f}")
    lines.append(f"cast in graph / decoded at load: {median['cast'] / median['decoded']:.3f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
