"""Whole rehearsals of small scripts."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from pipeline.rehearsal.backend import BACKENDS
from tests.pipeline.rehearsed import documents as documents_of
from tests.pipeline.rehearsed import run, run_steps, seen, states, step, write
from trainer.base.errors import UserError

SHOW = "print(sys.argv[1])"


def test_what_a_task_is_given(tmp_path) -> None:
    make = "write(payload_uri='/elsewhere', span=3)\n"
    finished = run_steps(
        tmp_path,
        {
            "Make": step(make, outputs=["model"]),
            "Use": step(SHOW, inputs={"given": "Make.model"}, outputs=["page"], parameters={"steps": 5}),
        },
    )
    assert states(finished) == {"Make": "succeeded", "Use": "succeeded"}
    assert finished.tasks["Make"].outputs == {"model": "/elsewhere"}
    given = seen(finished, "Use")
    root = os.path.join(tmp_path, "root", "small", finished.run_id)
    assert finished.directory == root
    task_root = os.path.dirname(given["outputs"]["artifacts"]["page"]["artifacts"][0]["uri"])
    assert os.path.dirname(task_root) == f"{root}/Use"
    # Below the directory that stands for the pod.
    place = f"/gcs/bucket/runs/small/{finished.run_id}/Use/{os.path.basename(task_root)}/output_metadata.json"
    assert given["outputs"].pop("outputFile").endswith(place)
    assert given["outputs"]["artifacts"]["executor-logs"]["artifacts"] == [
        {
            "name": "executor-logs",
            "type": {"schemaTitle": "system.Artifact"},
            "uri": f"{task_root}/executor-logs-0",
        }
    ]
    assert Path(task_root, "executor-logs-0").read_text() in Path(finished.tasks["Use"].log).read_text()
    assert given["inputs"]["parameterValues"] == {"steps": 5.0}
    (artifact,) = given["inputs"]["artifacts"]["given"]["artifacts"]
    assert artifact.pop("uri").startswith(f"{root}/Make/")
    assert artifact == {
        "name": "1",
        "type": {"instanceSchema": ""},
        "metadata": {
            "display_name": "model", "store_session_info": '{"Provider":"gs","Params":{"fromEnv":"true"}}',
            "payload_uri": "/elsewhere", "span": 3.0,
        },
    }  # fmt: skip
    assert given["outputs"]["artifacts"].keys() == {"page", "executor-logs"}


def test_what_an_older_backend_gives_a_task(tmp_path) -> None:
    steps = {"Only": step(f"write(span=3)\n{SHOW}", outputs=["page"])}
    finished = run_steps(tmp_path, steps, backend=BACKENDS["2.14"])
    outputs = seen(finished, "Only")["outputs"]
    assert outputs["outputFile"].endswith("/tmp/kfp_outputs/output_metadata.json")
    (logs,) = outputs["artifacts"]["executor-logs"]["artifacts"]
    assert logs.keys() == {"type", "uri"}
    assert logs["uri"].endswith("/executor-logs")


def test_the_launchers_download_is_counted_and_removed(tmp_path) -> None:
    fill = (
        "place = outputs['artifacts']['model']['artifacts'][0]['uri']\n"
        "os.makedirs(place + '/deep')\n"
        "open(place + '/deep/weights', 'w').write('x' * 1000)\n"
        "open(place + '/card', 'w').write('x' * 10)\n"
    )
    page = "open(outputs['artifacts']['page']['artifacts'][0]['uri'], 'w').write('x' * 7)\n"
    finished = run_steps(
        tmp_path,
        {
            "Fill": step(fill, outputs=["model", "other"]),
            "Page": step(f"os.makedirs(os.path.dirname(outputs['artifacts']['page']['artifacts'][0]['uri']))\n{page}",
                         outputs=["page"]),
            "Both": step(
                "import glob; pod = os.path.dirname(os.getcwd())\n"
                "found = sorted(glob.glob(pod + '/inputs/**', recursive=True))\n"
                "print(json.dumps([pod, [name for name in found if os.path.isfile(name)]]))",
                inputs={"a": "Fill.model", "b": "Page.page", "c": "Fill.other"},
            ),
            "None": step("", inputs={"c": "Fill.other"}),
        },
    )  # fmt: skip
    assert {name: outcome.bytes_downloaded for name, outcome in finished.tasks.items()} == {
        "Fill": 0, "Page": 0, "Both": 1017, "None": 0,
    }  # fmt: skip
    assert finished.bytes_downloaded == 1017
    pod, files = seen(finished, "Both")
    inputs = f"{pod}/inputs"
    assert files == [f"{inputs}/a-0/card", f"{inputs}/a-0/deep/weights", f"{inputs}/b-0"]
    assert not os.path.exists(pod)


CACHED = {"cachingOptions": {"enableCache": True}}


def test_what_an_earlier_run_has_done_is_taken_from_the_cache(tmp_path) -> None:
    def once(change: str = "", **parameters) -> dict[str, str]:
        steps = {
            "Fresh": step("write()", outputs=["model"]),
            "Make": step(f"write()\n{change}", outputs=["model"], **CACHED),
            "Use": step("write()", inputs={"given": "Make.model"}, outputs=["page"], parameters=parameters, **CACHED),
            "Rest": step("write()", inputs={"given": "Fresh.model"}, outputs=["page"], **CACHED),
        }  # fmt: skip
        nonlocal finished
        finished = run_steps(tmp_path, steps, **options)
        return {name: state for name, state in states(finished).items() if state != "succeeded"}

    finished, options = None, {}
    assert once() == {}
    made = finished.tasks["Make"].outputs
    # What gets a new artifact is another task.
    assert once() == {"Make": "cached", "Use": "cached"}
    assert finished.tasks["Make"].outputs == made
    assert finished.tasks["Make"].attempts == 0
    assert once(steps=5) == {"Make": "cached"}
    assert once(change="pass") == {}
    assert once() == {"Make": "cached", "Use": "cached"}
    options = {"cache": False}
    assert once() == {}


def test_nothing_is_cached_that_failed(tmp_path) -> None:
    flag = tmp_path / "flag"
    script = f"write()\nif not os.path.exists({str(flag)!r}): sys.exit(1)"
    steps = {"Make": step(script, outputs=["model"], **CACHED)}
    assert states(run_steps(tmp_path, steps)) == {"Make": "failed"}
    flag.touch()
    assert [states(run_steps(tmp_path, steps))["Make"] for _ in range(2)] == ["succeeded", "cached"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "Only: was killed by SIGKILL"),
        ("print('so far'); sys.exit(7)", "Only: ended with exit code 7 after printing 'so far'"),
        ("open(outputs['outputFile'], 'w').write('{\"unknown\": 1}')", "Only: the executor's output is not"),
        ("write(version=None)", "Only: the metadata version are null"),
        ("open(outputs['outputFile'], 'w').write('[]')", "Only: the executor's output is not"),
    ],
)
def test_why_a_task_failed(tmp_path, script: str, reason: str) -> None:
    outcome = run_steps(tmp_path, {"Only": step(script, outputs=["model"])}).tasks["Only"]
    assert (outcome.state, outcome.wrong_input) == ("failed", False)
    assert outcome.reason.startswith(reason)


def test_tasks_run_at_the_same_time_but_not_more_than_asked(tmp_path) -> None:
    both = (
        "import time, glob\n"
        f"open(f'{tmp_path}/{{os.getpid()}}.here', 'w')\n"
        f"while len(glob.glob('{tmp_path}/*.here')) < 2: time.sleep(0.01)\n"
    )
    assert states(run_steps(tmp_path, {"A": step(both), "B": step(both)}, max_parallel=2)) == {
        "A": "succeeded",
        "B": "succeeded",
    }
    alone = f"import time; os.mkdir('{tmp_path}/alone'); time.sleep(0.1); os.rmdir('{tmp_path}/alone')\n"
    steps = {name: step(alone) for name in ("A", "B", "C")}
    assert {*states(run_steps(tmp_path, steps, max_parallel=1)).values()} == {"succeeded"}


def test_running_tasks_end_after_a_failure_and_no_other_begins(tmp_path) -> None:
    steps = {
        # Ends well after the failure has been seen.
        "Slow": step(
            f"import time\nwhile not os.path.exists('{tmp_path}/failed'): time.sleep(0.01)\ntime.sleep(2)"
        ),
        "Fail": step(f"open('{tmp_path}/failed', 'w'); sys.exit(1)"),
        "Later": step("", after=["Slow"]),
    }
    assert states(run_steps(tmp_path, steps)) == {"Slow": "succeeded", "Fail": "failed", "Later": "not run"}


def test_every_rehearsal_is_a_run_of_its_own(tmp_path) -> None:
    parameters = {"run_id": "{{$.pipeline_job_uuid}}", "python": "x"}
    spec, _ = documents_of({"Only": step(SHOW, outputs=["model"], parameters=parameters)}, {"limit": 3})
    path = write(tmp_path, spec)
    first, second = run(path, tmp_path / "root"), run(path, tmp_path / "root")
    assert first.run_id != second.run_id
    for finished in (first, second):
        assert seen(finished, "Only")["inputs"]["parameterValues"]["run_id"] == finished.run_id
        assert os.path.isfile(finished.tasks["Only"].log)
    assert json.loads(json.dumps(first.as_json()))["tasks"][0]["task"] == "Only"


def test_no_child_outlives_its_task(tmp_path) -> None:
    child = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    finished = run_steps(tmp_path, {"Only": step(child)})
    assert finished.tasks["Only"].state == "succeeded"
    pid = seen(finished, "Only")
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_unknown_parameters_are_refused(tmp_path) -> None:
    spec, _ = documents_of({"Only": step("")}, {"limit": 3})
    with pytest.raises(UserError, match="no such parameter, did you mean limit"):
        run(write(tmp_path, spec), tmp_path / "root", ["limits=3"])


def test_a_pipeline_that_is_too_long_for_one_argument(tmp_path, caplog) -> None:
    caplog.set_level("INFO", "yt8m")
    steps = {name: step("", parameters={"text": "x" * 60_000}) for name in "ABC"}
    reason = r"the graph takes 18\d,\d{3} bytes of JSON, and Kubeflow Pipelines 2\.14 gives .*--kfp 2\.17"
    with pytest.raises(UserError, match=reason):
        run_steps(tmp_path, steps, backend=BACKENDS["2.14"])
    assert not (tmp_path / "root").exists()
    assert {*states(run_steps(tmp_path, steps)).values()} == {"succeeded"}
    assert "the root driver reads it from a file (--component @...)" in caplog.text


def test_an_executor_input_that_is_too_long_for_one_argument(tmp_path) -> None:
    spec, _ = documents_of({"Only": step("", parameters={"one": "x" * 70_000})})
    inputs = spec["components"]["Only"]["inputDefinitions"]["parameters"]
    inputs["two"] = {"parameterType": "STRING", "defaultValue": "x" * 70_000}
    outcome = run(write(tmp_path, spec), tmp_path / "root").failures["Only"]
    assert re.fullmatch(
        r"Only: cannot start python: Argument list too long; what it is given takes 140,\d{3} bytes of JSON",
        outcome.reason,
    )
