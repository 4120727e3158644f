"""What decoding weights once, at load, costs and saves: the time of one Predict, and of a load, in several forms.

    python -m tests.benchmarks.decode_at_load --variant K16-H512 --rounds 20
    python -m tests.benchmarks.decode_at_load --loaded K24-H1440 --copies 3 --loads 5

The forms of a Predict are: stored in float32; stored in float16, or in the compact form of the recipe table1-compact,
and decoded at load; and float16 cast in the graph at every request, the authors' way. Loads are timed in float16, int8,
int4 and the compact form, of files that the system has in memory.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import tensorflow as tf

from serving.export.codecs import FLOAT16
from serving.export.compression import EncodedTensor, compress, stored_bytes
from serving.export.saved_model import Member, _Ensemble, _Member, write_saved_model
from serving.export.stored_form import StoredForm
from serving.server.models.servable import Servable
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import in_turns
from tests.records import random_example
from trainer.base.units import MIB
from trainer.data.yt8m import MAX_FRAMES, NUM_CLASSES
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

_COMPACT = "int4-b128+gating_prob/weights=lowrank-r256-int8"
_LOADED = ("float16", "int8", "int4-b128", _COMPACT)


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
        write_saved_model(f"{place}/compact", [_made_up(spec, _COMPACT, 0)])
        forms = {
            name: _Timed(f"{place}/{name}", arguments.threads)
            for name in ("float32", "decoded", "compact", "cast")
        }
        for turn in range(arguments.rounds + 2):
            # In turns, so that what else the machine does falls on all of them.
            for form in forms.values():
                form.ask(rows)
                if turn < 2:  # the first requests set things up
                    form.seconds.clear()
    milliseconds = {name: 1000 * statistics.median(form.seconds) for name, form in forms.items()}
    for form, said in (("decoded", "float16"), ("compact", "the compact form")):
        yield Figure(
            name=f"Predict of {spec}, {said} decoded at load",
            value=milliseconds[form],
            unit="ms",
            ratio=milliseconds[form] / milliseconds["float32"],
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
    yield from _loads(arguments)


def _loads(arguments: argparse.Namespace) -> Iterator[Figure]:
    spec = ModelSpec.parse(arguments.loaded)
    with tempfile.TemporaryDirectory() as place:
        for index, form in enumerate(_LOADED):
            members = [_made_up(spec, form, seed) for seed in range(arguments.copies)]
            write_saved_model(f"{place}/{index}", members)
            del members
        works = {form: partial(_load, f"{place}/{index}") for index, form in enumerate(_LOADED)}
        seconds = {form: statistics.median(each) for form, each in in_turns(works, arguments.loads).items()}
    mib = {form: arguments.copies * stored_bytes(spec, StoredForm.parse(form)) / MIB for form in _LOADED}
    for form in _LOADED[1:]:
        yield Figure(
            name=f"load of {arguments.copies} x {spec} in {form}, {mib[form]:.0f} MiB",
            value=seconds[form],
            unit="s",
            ratio=seconds[form] / seconds["float16"],
            yardstick=f"in float16, {mib['float16']:.0f} MiB, {seconds['float16']:.2f} s",
            goal=1.5,
            at="most",
        )


def _load(directory: str) -> None:
    Servable(directory, "m", 1, 0).close()


def _made_up(spec: ModelSpec, form: str, seed: int) -> Member:
    """A member of random numbers, of the shapes and types of a form: to find the best numbers would take minutes."""
    generator, codecs = np.random.default_rng(seed), StoredForm.parse(form)
    weights = {}
    for tensor in spec.tensors:
        codec = codecs.codec_of(tensor)
        parts = {
            part: generator.integers(-100, 100, layout.shape, np.int8)
            if layout.dtype == "int8"
            else generator.random(layout.shape, np.float32).astype(layout.dtype) / np.float16(100)
            for part, layout in codec.layout(tensor.shape).items()
        }
        weights[tensor.name] = EncodedTensor(codec, tensor.shape, parts)
    return Member(spec=spec, weights=weights)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", default="K16-H512")
    parser.add_argument("--classes", type=whole(20), default=NUM_CLASSES)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=MAX_FRAMES)
    parser.add_argument("--rounds", type=whole(), default=20)
    parser.add_argument("--threads", type=whole(), default=1, help="Of TensorFlow's pools, of a Predict.")
    parser.add_argument("--loaded", default="K24-H1440", help="The variant whose loads are timed.")
    parser.add_argument("--copies", type=whole(), default=1, help="So many such members in one model.")
    parser.add_argument("--loads", type=whole(), default=3)


if __name__ == "__main__":
    main(__doc__, figures, _options)
