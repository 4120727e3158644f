"""The search for the best ensemble at the paper's size, and whether its screening loses anything.

    python -m tests.benchmarks.assembling

18 members with the sizes of the paper's Table 1, synthetic scores of 17,600 videos (5 GB on the disk): all combinations
under 1024 MiB are screened, 50 tuned, 20 measured on the full scores. The yardstick reads all scores once.

Then the same models in three stored forms each, of which the search chooses too (on a quarter of the videos, or their
scores would take 15 GB; `--form-videos`); and a search over 7 members and few videos, against the best of all
combinations, each of them tuned.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from components.ensemble_assembler import search
from components.ensemble_assembler.ensemble import ModelEntry
from components.ensemble_assembler.promising import promising_combinations
from components.ensemble_assembler.score_file import EvalScores
from components.ensemble_assembler.selection import fitting_combinations
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from serving.export.stored_form import StoredForm
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.process import peak_memory
from tests.benchmarks.synthetic_scores import write_scores
from trainer.base.units import MIB
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec

_LIMIT = 1024 * MIB
_FORMS = {"float16": 0.0, "int8": 0.01, "int4-b128+gating_prob/weights=lowrank-r256-int8": 0.1}
"""And how much of their own they add to the logits."""
_FEW = 7
_READ_VIDEOS = 512


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    combinations = fitting_combinations(
        [stored_bytes(ModelSpec(variant), FLOAT16) for variant in TABLE1], _LIMIT
    )
    with tempfile.TemporaryDirectory() as place:
        data = write_scores(place, len(TABLE1), arguments.videos)
        reading, _, _ = _timed(lambda: _read(data))
        with peak_memory() as memory:
            seconds, processor, _ = _timed(lambda: search.best_ensembles(data, combinations))
        stored = sum(os.path.getsize(file.path) for file in data.scores)
    yield Figure(
        name=f"assembling: {len(combinations):,} combinations of {len(TABLE1)}, {arguments.videos:,} videos",
        value=seconds,
        unit="s",
        yardstick=f"{seconds / reading:.1f} x reading the scores once, {reading:.1f} s; "
        f"the processor's time is {processor:.0f} s",
        goal=600,
        at="most",
    )
    yield Figure(
        name="peak memory of assembling",
        value=memory.bytes / MIB,
        unit="MiB",
        yardstick=f"{memory.bytes / stored:.3f} x the scores, {stored / MIB:,.0f} MiB",
        goal=6144,
        at="most",
    )
    yield _forms(arguments.form_videos)
    yield _lost(arguments.few_videos)


def _forms(videos: int) -> Figure:
    """The search over models and forms together, from their scores to the best ensembles."""
    entries = [
        ModelEntry(
            variant=spec.name,
            form=form,
            model=model,
            gap=0.0,
            architecture=spec.architecture,
            bytes=stored_bytes(spec, StoredForm.parse(form)),
        )
        for model, spec in enumerate(map(ModelSpec, TABLE1))
        for form in _FORMS
    ]
    with tempfile.TemporaryDirectory() as place:
        data = write_scores(place, len(TABLE1), videos, seed=2, forms=list(_FORMS.values()))
        reading, _, _ = _timed(lambda: _read(data))

        def assemble() -> None:
            found = promising_combinations(data, entries, range(len(entries)), _LIMIT)
            search.best_ensembles(data, found)

        seconds, processor, _ = _timed(assemble)
    return Figure(
        name=f"assembling: {len(TABLE1)} models in {len(_FORMS)} forms each, {videos:,} videos",
        value=seconds,
        unit="s",
        yardstick=f"{seconds / reading:.1f} x reading the scores once, {reading:.1f} s; "
        f"the processor's time is {processor:.0f} s",
        goal=600,
        at="most",
    )


def _lost(videos: int) -> Figure:
    """What the winner lacks against tuning everything."""
    combinations = fitting_combinations([1] * _FEW, _FEW)
    with tempfile.TemporaryDirectory() as place:
        data = write_scores(place, _FEW, videos, seed=1)
        screened, _, found = _timed(lambda: search.best_ensembles(data, combinations))
        everything = len(combinations)
        with mock.patch.multiple(search, TUNED=everything, REPORTED=everything):
            exhaustive, _, best = _timed(lambda: search.best_ensembles(data, combinations))
    return Figure(
        name=f"GAP lost by screening, {everything} combinations of {_FEW}, {videos:,} videos",
        value=best[0].gap - found[0].gap,
        unit="",
        yardstick=f"all tuned: GAP {best[0].gap:.5f} in {exhaustive:.1f} s, against {screened:.1f} s",
        goal=0.0002,
        at="most",
    )


def _read(data: EvalScores) -> None:
    for file in data.scores:
        for start in range(0, data.videos, _READ_VIDEOS):
            file.rows(start, start + _READ_VIDEOS)


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, seconds of the processor (of all threads), and the result."""
    begin, processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - begin, time.process_time() - processor, result


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=whole(), default=17_600)
    parser.add_argument("--form-videos", type=whole(), default=4_400)
    parser.add_argument("--few-videos", type=whole(), default=1_000)


if __name__ == "__main__":
    main(__doc__, figures, _options)
