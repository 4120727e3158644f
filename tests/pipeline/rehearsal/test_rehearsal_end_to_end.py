"""A recipe, compiled, on this machine as on the cluster: the same result as of `yt8m run`."""

import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pipeline.kubeflow.change_check import CHECK, RECORD
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.recipe import Recipe
from tests.pipeline.rehearsed import READ, run
from tests.pipeline.tiny_recipe import VARIANTS, tiny_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540)]

KILLED = "Trainer-K2-H6"


class Place(NamedTuple):
    """Where the recipe's pipeline runs."""

    directory: Path
    recipe: Recipe
    compiled: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_sample: Path) -> Place:
    from pipeline.kubeflow.compile import compile_pipeline

    directory = tmp_path_factory.mktemp("rehearsal")
    # As if it were mounted: it has the sample, too.
    volumes = {"volumes": {"here": str(tmp_path_factory.getbasetemp())}}
    # With a lead of 1 nobody is stopped: two halves of a training must be what one piece is in a local run.
    content = tiny_recipe(
        tiny_sample,
        f"{directory}/served",
        kubernetes={**volumes, "max_parallel_trainers": 1},
        halving={"enabled": True, "lead": 1.0},
    )
    (directory / "tiny.yaml").write_text(yaml.safe_dump(content))
    recipe = load_recipe(f"{directory}/tiny.yaml")
    compiled = directory / "compiled.yaml"
    compiled.write_text(compile_pipeline(recipe, "registry/yt8m:1.0", "gs://bucket/root").to_yaml())
    return Place(directory, recipe, compiled)


@pytest.fixture(scope="module")
def first(place: Place) -> Any:
    """A rehearsal, in which one Trainer's pod is taken away when it has written a state of its own."""
    root = place.directory / "root"
    with ThreadPoolExecutor() as pool:
        rehearsed = pool.submit(run, place.compiled, root)
        pool.submit(_kill_after_its_first_state, root, rehearsed)
        return rehearsed.result()


def _kill_after_its_first_state(root: Path, rehearsed: Future) -> None:
    while not any(root.glob(f"tiny/*/{KILLED}/*/_payload/model_run/state/state-00000004.index")):
        if rehearsed.done():
            return
        time.sleep(0.02)
    (log,) = root.glob(f"tiny/*/_logs/{KILLED}.log")
    os.kill(int(re.findall(r"--- process (\d+)", log.read_text())[-1]), signal.SIGTERM)


def report_of(finished: Any) -> dict[str, Any]:
    return json.loads(Path(finished.tasks["RunReport"].outputs["report"], "report.json").read_text())


def test_everything_succeeds_and_an_ensemble_is_pushed(first: Any, place: Place) -> None:
    assert {outcome.state for outcome in first.tasks.values()} == {"succeeded"}, first.table()
    assert len(first.tasks) == 14 + 4 * len(VARIANTS)
    assert report_of(first)["push"]["version"] == 1
    assert (place.directory / "served/1/saved_model.pb").is_file()
    assert first.tasks["Baseline"].outputs == {}


def test_a_killed_trainer_goes_on_from_its_state(first: Any) -> None:
    killed = first.tasks[KILLED]
    assert {name: outcome.attempts for name, outcome in first.tasks.items() if outcome.attempts != 1} == {
        KILLED: 2
    }
    one, other = Path(killed.log).read_text().split("--- process ")[1:]
    assert re.findall(r"going on from step (\d+)", one) == ["2"]
    assert int(re.search(r"going on from step (\d+)", other)[1]) >= 4


def test_one_trainer_at_a_time_and_all_first_halves_before_the_second(first: Any) -> None:
    logs = [Path(first.tasks[f"{half}-{name}"].log) for half in ("FirstHalf", "Trainer") for name in VARIANTS]
    begun = [re.search(r"--- process \d+, (.*)", log.read_text())[1] for log in logs]
    ended = [log.stat().st_mtime for log in logs]
    for start, end in zip(begun[1:], ended, strict=False):
        # Written in whole seconds.
        assert time.mktime(time.strptime(start, "%Y-%m-%d %H:%M:%S")) >= int(end) - 1
    verdicts = report_of(first)["half_time"]["variants"]
    assert [(one["variant"], one["step"], one["stopped_for"]) for one in verdicts] == [
        (name, 2, None) for name in VARIANTS
    ]


def test_no_task_downloads_the_examples(first: Any, tiny_sample: Path) -> None:
    size = sum(path.stat().st_size for path in tiny_sample.iterdir())
    assert size > 100_000
    assert first.bytes_downloaded < size / 100


def test_the_result_is_that_of_a_local_run(first: Any, local_run: subprocess.CompletedProcess[str]) -> None:
    assert local_run.returncode == 0, local_run.stderr
    rehearsed, local = report_of(first), json.loads(local_run.stdout)
    assert local["ensembles"]
    for key in ("ensembles", "members"):
        assert rehearsed[key] == local[key]
    assert rehearsed["evaluation"]["candidate"]["gap"] == local["evaluation"]["candidate"]["gap"]


def test_with_nothing_new_a_run_ends_in_its_first_step(first: Any, place: Place) -> None:
    second = run(place.compiled, place.directory / "root")
    started = [name for name, outcome in second.tasks.items() if outcome.attempts]
    assert started == ["ChangeCheck"]
    assert {outcome.state for name, outcome in second.tasks.items() if name not in started} == {"skipped"}
    assert not second.failures
    assert f"nothing new since run {first.run_id}" in Path(second.tasks["ChangeCheck"].log).read_text()


def test_the_next_rehearsal_finds_the_served_model(first: Any, place: Place) -> None:
    """Of it, only what knows of the served model runs; the other tasks hand out what they made before."""
    spec, platform = yaml.safe_load_all(place.compiled.read_text())
    for task in all_tasks(spec):
        if task not in (CHECK, RECORD, "Baseline", "Evaluator"):
            container = spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]
            container["command"] = ["python", "-c", _stand_in(first.tasks[task].outputs)]
            container["args"] = ["{{$}}"]
    again = place.directory / "again.yaml"
    again.write_text(yaml.safe_dump_all([spec, platform]))
    second = run(again, place.directory / "root", ["force=true"])
    assert {outcome.state for outcome in second.tasks.values()} == {"succeeded"}, second.table()
    assert second.run_id != first.run_id
    assert Path(second.tasks["Baseline"].outputs["model"]).is_dir()
    results = json.loads(Path(second.tasks["Evaluator"].outputs["evaluation"], "results.json").read_text())
    assert results["baseline"]["gap"] == results["candidate"]["gap"] > 0


def test_a_student_is_taught_in_pods(first: Any, place: Place) -> None:
    """Of a recipe with a student, the Teacher and the student's Trainer; what comes before is as it was."""
    from pipeline.kubeflow.compile import compile_pipeline

    content = yaml.safe_load((place.directory / "tiny.yaml").read_text())
    content |= {"students": [VARIANTS[0]], "halving": {}}
    (place.directory / "students.yaml").write_text(yaml.safe_dump(content))
    compiled = compile_pipeline(
        load_recipe(f"{place.directory}/students.yaml"), "registry/yt8m:1.0", "gs://bucket/root"
    )
    student, spec = f"Trainer-Student-{VARIANTS[0]}", compiled.spec
    there = {
        "YouTube8MExampleGen": "YouTube8MExampleGen",
        "ExampleValidator": "ExampleValidator",
        "TeachingAssembler": "EnsembleAssembler",
    }
    tasks = {name: all_tasks(spec)[name] for name in (*there, "Teacher", student)}
    for task, like in there.items():
        container = spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]
        container["command"] = ["python", "-c", _stand_in(first.tasks[like].outputs)]
        container["args"] = ["{{$}}"]
        tasks[task] = {key: tasks[task][key] for key in ("componentRef", "taskInfo")}
        spec["components"][tasks[task]["componentRef"]["name"]].pop("inputDefinitions", None)
    spec["root"]["dag"]["tasks"] = tasks
    path = place.directory / "students-compiled.yaml"
    path.write_text(yaml.safe_dump_all([spec, compiled.platform]))
    finished = run(path, place.directory / "root")
    assert {outcome.state for outcome in finished.tasks.values()} == {"succeeded"}, finished.table()
    report = json.loads(Path(finished.tasks["Teacher"].outputs["report"], "report.json").read_text())
    assert report["videos"] == report_of(first)["data"]["splits"]["train"]["videos"]
    snapshots = Path(finished.tasks[student].outputs["model_run"], "snapshots")
    assert len(list(snapshots.glob("*.index"))) == 3


def _stand_in(outputs: dict[str, str]) -> str:
    """A script that hands out artifacts which lie elsewhere already."""
    metadata = {
        key: {"payload_uri": place, "split_names": '["train", "eval", "holdout"]'}
        for key, place in outputs.items()
    }
    return (
        f"{READ}metadata = {metadata!r}\n"
        "made = {key: {'artifacts': [{'metadata': metadata[key]}]} for key in metadata}\n"
        "open(outputs['outputFile'], 'w').write(json.dumps({'artifacts': made}))\n"
    )
