"""Rehearsed tasks that fail or are killed: what is started again, how often, and what it finds."""

import re
from pathlib import Path

import pytest

from pipeline.rehearsal.backend import BACKENDS, ControllerRetryPolicy
from tests.pipeline.rehearsed import run_steps, states, step

AGAIN = {"maxRetryCount": 2, "backoffDuration": "60s", "backoffFactor": 2, "backoffMaxDuration": "3600s"}


def counting(fail: str, times: int) -> str:
    """Fails the first times that it runs; leaves a byte at its output's address each time."""
    return (
        "place = outputs['artifacts']['model']['artifacts'][0]['uri']\n"
        "os.makedirs(os.path.dirname(place), exist_ok=True)\n"
        "open(place, 'a').write('x')\n"
        f"if os.path.getsize(place) <= {times}:\n    {fail}\n"
    )


KILLED = "import signal; os.kill(os.getpid(), signal.SIGKILL)"


DELETED = "import signal; os.kill(os.getpid(), signal.SIGTERM)"


@pytest.mark.parametrize(
    ("fail", "options"),
    [
        (KILLED, {"backend": BACKENDS["2.14"]}),
        (DELETED, {"backend": BACKENDS["2.17"]}),
        (KILLED, {"retry_policy": ControllerRetryPolicy.ALWAYS}),
    ],
)
def test_a_retry_finds_what_the_last_attempt_left(tmp_path, fail: str, options: dict) -> None:
    steps = {"Train": step(counting(fail, 2), outputs=["model"], retryPolicy=AGAIN)}
    finished = run_steps(tmp_path, steps, **options)
    assert (finished.tasks["Train"].state, finished.tasks["Train"].attempts) == ("succeeded", 3)
    assert Path(finished.tasks["Train"].outputs["model"]).read_text() == "xxx"
    # One log for all attempts.
    assert Path(finished.tasks["Train"].log).read_text().count("--- process ") == 3


@pytest.mark.parametrize(
    ("fail", "version", "why"),
    [
        (DELETED, "2.14", "under retryPolicy OnFailure .* starts nothing again whose pod was deleted;"),
        (KILLED, "2.17", "under retryPolicy OnError .* starts nothing again whose container failed;"),
    ],
)
def test_what_the_cluster_would_not_start_again(tmp_path, fail: str, version: str, why: str) -> None:
    steps = {"Train": step(counting(fail, 2), outputs=["model"], retryPolicy=AGAIN)}
    outcome = run_steps(tmp_path, steps, backend=BACKENDS[version]).failures["Train"]
    assert outcome.attempts == 1
    assert re.search(
        rf"^Train: was killed by SIG\w+ \(the file asks for 2 retries, but {why}", outcome.reason
    )


@pytest.mark.parametrize(("version", "attempts"), [("2.14", 1), ("2.17", 3)])
def test_pods_are_taken_away_from_tasks_without_a_policy(tmp_path, version: str, attempts: int) -> None:
    outcome = run_steps(tmp_path, {"Only": step(DELETED)}, backend=BACKENDS[version]).failures["Only"]
    assert (outcome.attempts, outcome.reason) == (attempts, "Only: was killed by SIGTERM")


@pytest.mark.parametrize(("retry", "attempts"), [(True, 3), (False, 1)])
def test_attempts_end_and_nothing_more_is_started(tmp_path, retry: bool, attempts: int) -> None:
    line = "sys.stderr.write('yt8m: Read: the data are wrong: fix them\\n'); sys.exit(2)"
    steps = {
        "Read": step(counting(line, 9), outputs=["model"], retryPolicy=AGAIN),
        "Next": step("", after=["Read"]),
    }
    finished = run_steps(tmp_path, steps, retry=retry, retry_policy=ControllerRetryPolicy.ALWAYS)
    assert states(finished) == {"Read": "failed", "Next": "not run"}
    outcome = finished.failures["Read"]
    assert (outcome.attempts, outcome.reason, outcome.wrong_input) == (
        attempts, "Read: the data are wrong: fix them", True,
    )  # fmt: skip
    # Each attempt's log is where the launcher would upload it to.
    logs = sorted(Path(finished.directory).glob("Read/*/executor-logs-*"))
    assert [path.name[-1] for path in logs] == [*"012"][:attempts]
    assert all("the data are wrong" in path.read_text() for path in logs)
