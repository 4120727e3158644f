"""Assembles the report of a run of this machine from its metadata store and its record, without importing TFX."""

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.run_report.document import RunDocument
from components.run_report.run_facts import RunArtifact, RunFacts, RunNode
from components.run_report.sources import read_run
from pipeline.dag.trainer_order import FIRST_HALF, TRAINER
from pipeline.local.database import DATABASE, check_database, open_for_reading
from pipeline.local.run_lock import is_in_use
from pipeline.local.run_outputs import NodeOutput, context_outputs
from pipeline.local.run_record import RunRecord, read_record
from pipeline.local.run_state import run_state
from trainer.base.errors import UserError
from trainer.base.files import is_local

_SINGLE = {
    "data": ("YouTube8MExampleGen", "report"),
    "statistics": ("StatisticsGen", "statistics"),
    "anomalies": ("ExampleValidator", "anomalies"),
    "drift": ("DriftCheck", "report"),
    "half_time": ("HalfTime", "report"),
    "teacher": ("Teacher", "report"),
    "ensemble": ("EnsembleAssembler", "report"),
    "evaluation": ("Evaluator", "evaluation"),
    "blessing": ("Evaluator", "blessing"),
    "infra_blessing": ("ModelServerValidator", "blessing"),
    "push": ("Pusher", "pushed_model"),
}
"""The node and the output of each key of `read_run`."""

_Outputs = dict[str, NodeOutput]
_Graph = Mapping[str, Sequence[str]]


class RunPlace(NamedTuple):
    """The directory with the metadata store of a run, and the run's id there; None for the newest run."""

    base: Path
    run_id: str | None


def find_run(text: str) -> RunPlace:
    """Finds the run that a user names: a directory of runs for its newest one, or `<directory>/<run id>`.

    Raises:
        UserError: If the text names neither.
    """
    path = Path(text)
    if (path / DATABASE).is_file():
        return RunPlace(path, None)
    if (path.parent / DATABASE).is_file():
        return RunPlace(path.parent, path.name)
    problem = f"there is no {DATABASE} in it" if path.exists() else "there is no such directory"
    raise UserError(f"{text}: {problem}; give the directory of a run, such as runs/demo, or runs/demo/RUN-ID")


def local_report(place: RunPlace) -> RunDocument:
    """Returns the report of a run, whatever has become of it.

    Raises:
        UserError: If there is no such run, its database is damaged, or what its steps reported was removed or moved.
    """
    check_database(place.base)
    store = open_for_reading(place.base / DATABASE)
    runs = sorted(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.name)
    chosen = [context for context in runs if place.run_id in (None, context.name)]
    if not chosen:
        there = ", ".join(context.name for context in runs[-3:]) or "none at all"
        raise UserError(f"{place.base} has no run {place.run_id or ''}: the newest are {there}")
    context = chosen[-1]
    outputs = context_outputs(store, context, place.base)
    # Runs of one directory follow each other: only the newest can be on.
    running = context is runs[-1] and is_in_use(place.base)
    record = read_record(place.base, context.name)
    graph = record.graph or dict.fromkeys(outputs, ())
    single = {
        key: outputs[node].uris[output][0]
        for key, (node, output) in _SINGLE.items()
        if node in outputs and outputs[node].uris.get(output)
    }
    averaging = _each(graph, outputs, "CheckpointAverager-")
    compression = {**_each(graph, outputs, "Fp16Compressor-"), **_each(graph, outputs, "Compressor-")}
    _check_there(outputs, [*single.values(), *averaging.values(), *compression.values()])
    return read_run(
        _facts(place.base, record, graph, outputs, running),
        single,
        _training(graph, outputs, place.base if context is runs[-1] else None),
        averaging,
        compression,
    )


def _check_there(outputs: _Outputs, wanted: Sequence[str]) -> None:
    """Refuses a report that would say of steps that are done that they did nothing."""
    done = {uri for one in outputs.values() if one.succeeded for found in one.uris.values() for uri in found}
    for uri in wanted:
        if uri in done and is_local(uri) and not os.path.isdir(uri):
            raise UserError(
                f"{uri} is not there any more, which a step of the run made: put the run's artifacts back where they "
                "were; what was known at its end stands in report.html and report.json beside its metadata.sqlite"
            )


def _facts(base: Path, record: RunRecord, graph: _Graph, outputs: _Outputs, running: bool) -> RunFacts:
    began = min((output.started for output in outputs.values()), default=None)
    ended = max((output.last_sign for output in outputs.values()), default=None)
    return RunFacts(
        pipeline=record.pipeline or base.name,
        run_id=record.run_id,
        recipe=record.recipe,
        code=record.code,
        nodes=tuple(
            RunNode(id=node, upstream=upstream, **_times(outputs.get(node), running))
            for node, upstream in graph.items()
        ),
        artifacts=tuple(
            RunArtifact(id=artifact.id, node=node, key=key, type=artifact.type, uri=artifact.uri)
            for node, output in outputs.items()
            for key, found in output.artifacts.items()
            for artifact in found
        ),
        started=_iso(began),
        seconds=None if began is None or running else ended - began,
        state=run_state(outputs, record, running),
        error=record.error,
    )


def _times(output: NodeOutput | None, running: bool) -> dict[str, Any]:
    if output is None:
        return {"state": "not begun", "started": None, "seconds": None}
    state = output.state if output.ended or running else "stopped"
    seconds = output.last_sign - output.started if output.ended else None
    return {"state": state, "started": _iso(output.started), "seconds": seconds}


def _training(graph: _Graph, outputs: _Outputs, work: Path | None) -> dict[str, str]:
    """Returns the training of each variant: what its Trainer handed out or, in the newest run, what it works on.

    With the stop rule the first half's training counts until there is one of the whole training.
    """
    found = {}
    for node in graph:
        if not node.startswith((FIRST_HALF, TRAINER)):
            continue
        variant = node.partition("-")[2]
        if node in outputs and outputs[node].uris.get("model_run"):
            found[variant] = outputs[node].uris["model_run"][0]
        elif work and (begun := sorted((work / "work" / node).glob("*/logs"), key=os.path.getmtime)):
            found[variant] = str(begun[-1].parent)
    return found


def _each(graph: _Graph, outputs: _Outputs, prefix: str) -> dict[str, str]:
    """Returns the report of each node whose id begins so, by what follows in its id."""
    return {
        node.removeprefix(prefix): outputs[node].uris["report"][0]
        for node in graph
        if node.startswith(prefix) and node in outputs and outputs[node].uris.get("report")
    }


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
