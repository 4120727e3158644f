"""Whole rehearsals of small scripts."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.pipeline.rehearsed import documents as documents_of
from tests.pipeline.rehearsed import run, run_steps, seen, step, write
from trainer.errors import UserError

SHOW = "print(sys.argv[1])"
AGAIN = {"maxRetryCount": 2, "backoffDuration": "60s", "backoffFactor": 2, "backoffMaxDuration": "3600s"}


def states(finished) -> dict[str, str]:
    return {name: outcome.state for name, outcome in finished.tasks.items()}


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
    assert not given["outputs"].pop("outputFile").startswith(root)
    assert given["inputs"]["parameterValues"] == {"steps": 5.0}
    (artifact,) = given["inputs"]["artifacts"]["given"]["artifacts"]
    assert artifact.pop("uri").startswith(f"{root}/Make/")
    assert artifact == {
        "name": "1",
        "type": {"instanceSchema": ""},
        "metadata": {
            "display_name": "model", "store_session_info": "{}", "payload_uri": "/elsewhere", "span": 3.0,
        },
    }  # fmt: skip
    assert given["outputs"]["artifacts"].keys() == {"page", "executor-logs"}


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


def test_conditions_skip_a_task_and_what_comes_after_it(tmp_path) -> None:
    blessed = "inputs.artifacts['blessing'].artifacts[0].metadata['blessed'] == 1.0"
    steps = {
        "Good": step("write(blessed=True)", outputs=["blessing"]),
        "Bad": step("write(blessed=0)", outputs=["blessing"]),
        "Push": step("", inputs={"blessing": "Good.blessing"}, triggerPolicy={"condition": blessed}),
        "Hold": step("", inputs={"blessing": "Bad.blessing"}, triggerPolicy={"condition": blessed}),
        "AfterHold": step("", after=["Hold", "Push"]),
        "Last": step("", after=["AfterHold"]),
    }
    assert states(run_steps(tmp_path, steps)) == {
        "Good": "succeeded", "Bad": "succeeded", "Push": "succeeded",
        "Hold": "skipped", "AfterHold": "skipped", "Last": "skipped",
    }  # fmt: skip


def test_a_condition_without_an_answer_fails(tmp_path) -> None:
    asked = "inputs.artifacts['blessing'].artifacts[0].metadata['blessed'] == 1.0"
    steps = {
        "Silent": step("", outputs=["blessing"]),
        "Push": step("", inputs={"blessing": "Silent.blessing"}, triggerPolicy={"condition": asked}),
    }
    outcome = run_steps(tmp_path, steps).tasks["Push"]
    assert (outcome.state, outcome.reason) == (
        "failed",
        "Push: input blessing has no artifact 0 with blessed",
    )


def counting(fail: str, times: int) -> str:
    """Fails the first times that it runs; leaves a byte at its output's address each time."""
    return (
        "place = outputs['artifacts']['model']['artifacts'][0]['uri']\n"
        "os.makedirs(os.path.dirname(place), exist_ok=True)\n"
        "open(place, 'a').write('x')\n"
        f"if os.path.getsize(place) <= {times}:\n    {fail}\n"
    )


def test_a_retry_finds_what_the_last_attempt_left(tmp_path) -> None:
    fail = "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    steps = {"Train": step(counting(fail, 2), outputs=["model"], retryPolicy=AGAIN)}
    finished = run_steps(tmp_path, steps)
    assert (finished.tasks["Train"].state, finished.tasks["Train"].attempts) == ("succeeded", 3)
    assert Path(finished.tasks["Train"].outputs["model"]).read_text() == "xxx"
    # One log for all attempts.
    assert Path(finished.tasks["Train"].log).read_text().count("--- process ") == 3


@pytest.mark.parametrize(("retry", "attempts"), [(True, 3), (False, 1)])
def test_attempts_end_and_nothing_more_is_started(tmp_path, retry: bool, attempts: int) -> None:
    line = "sys.stderr.write('yt8m: Read: the data are wrong: fix them\\n'); sys.exit(2)"
    steps = {
        "Read": step(counting(line, 9), outputs=["model"], retryPolicy=AGAIN),
        "Next": step("", after=["Read"]),
    }
    finished = run_steps(tmp_path, steps, retry=retry)
    assert states(finished) == {"Read": "failed", "Next": "not run"}
    outcome = finished.failures["Read"]
    assert (outcome.attempts, outcome.reason, outcome.wrong_input) == (
        attempts, "Read: the data are wrong: fix them", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "Only: was killed by SIGKILL"),
        ("print('so far'); sys.exit(7)", "Only: ended with exit code 7 after printing 'so far'"),
        ("open(outputs['outputFile'], 'w').write('{\"unknown\": 1}')", "Only: the executor's output is not"),
        ("write(version=None)", "Only: the metadata version are null"),
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
