import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.cli.cluster.rehearse import RehearsalFailedError
from pipeline.cli.main import app
from tests.pipeline.rehearsed import command_line, documents, step, write
from trainer.base.errors import UserError


def rehearse(tmp_path: Path, script: str, *more: str, **task) -> None:
    path = write(tmp_path, *documents({"Only": step(script, **task)}, {"limit": 3}))
    app(args=["rehearse", path, "--root", str(tmp_path / "root"), *more], standalone_mode=False)


def test_what_a_person_sees(tmp_path, capsys, caplog) -> None:
    caplog.set_level("INFO", "yt8m")
    rehearse(tmp_path, "")
    (run,) = (tmp_path / "root" / "small").iterdir()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["Only", "succeeded", "1"]
    assert lines[1].endswith(" 0 bytes")
    assert lines[-2:] == [f"Artifacts: {run}", f"Logs: {run}/_logs"]
    begun, done = [message for message in caplog.messages if message.startswith("[ 1/1] Only")]
    assert begun == "[ 1/1] Only ..."
    assert done.startswith("[ 1/1] Only done: ")


def test_json(tmp_path, capsys) -> None:
    rehearse(tmp_path, "", "--json", "--set", "limit=4")
    told = json.loads(capsys.readouterr().out)
    (task,) = told.pop("tasks")
    assert told.keys() == {"pipeline", "run_id", "directory", "logs", "bytes_downloaded"}
    assert task.pop("seconds") > 0
    assert task == {
        "task": "Only", "state": "succeeded", "attempts": 1, "bytes_downloaded": 0, "outputs": {}, "reason": None,
        "wrong_input": False, "log": f"{told['logs']}/Only.log",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (2, UserError, r"^Only: no such file: make it \(log: .*/_logs/Only.log\)$"),
        (1, RehearsalFailedError, "^Only: no such file: make it$"),
    ],
)
def test_a_failure_is_the_tasks_own_line_and_its_log(tmp_path, capsys, code, error, reason) -> None:
    script = f"sys.stderr.write('yt8m: Only: no such file: make it\\n'); sys.exit({code})"
    with pytest.raises(error, match=reason) as caught:
        rehearse(tmp_path, script, "--json")
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["state"] == "failed"
    assert "make it" in Path(task["log"]).read_text()
    if error is RehearsalFailedError:
        assert caught.value.log_file == task["log"]


@pytest.mark.parametrize(
    ("options", "told", "attempts"),
    [
        ([], "as Kubeflow Pipelines 2.17 with retryPolicy OnError", 1),
        (["--kfp", "2.14"], "as Kubeflow Pipelines 2.14 with retryPolicy OnFailure", 2),
        (["--retry-policy", "Always"], "as Kubeflow Pipelines 2.17 with retryPolicy Always", 2),
        (["--kfp", "2.14", "--no-retry"], "as Kubeflow Pipelines 2.14 with retryPolicy switched off", 1),
    ],
)
def test_whose_part_is_played(tmp_path, capsys, caplog, options, told: str, attempts: int) -> None:
    caplog.set_level("INFO", "yt8m")
    policy = {"maxRetryCount": 1, "backoffDuration": "0s", "backoffMaxDuration": "60s"}
    with pytest.raises(RehearsalFailedError):
        rehearse(tmp_path, "sys.exit(1)", "--json", *options, retryPolicy=policy)
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["attempts"] == attempts
    assert any(told in message for message in caplog.messages)


def test_the_cache_can_be_switched_off(tmp_path, capsys) -> None:
    states = []
    for options in ([], [], ["--no-cache"]):
        rehearse(tmp_path, "", "--json", *options, cachingOptions={"enableCache": True})
        (task,) = json.loads(capsys.readouterr().out)["tasks"]
        states.append(task["state"])
    assert states == ["succeeded", "cached", "succeeded"]


@pytest.mark.slow
def test_an_interruption_ends_the_tasks_and_leaves_their_logs(tmp_path) -> None:
    script = (
        "import time; print('begun', flush=True)\n"
        f"open('{tmp_path}/pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    )
    policy = {"maxRetryCount": 3, "backoffDuration": "1s", "backoffMaxDuration": "60s"}
    path = write(tmp_path, *documents({"Only": step(script, retryPolicy=policy)}))
    process = subprocess.Popen(
        command_line("rehearse", path, "--root", str(tmp_path / "root")), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    *_, ending, last = told.splitlines()
    assert "ending the tasks that are running; their logs stay in " in ending
    assert last == "yt8m: interrupted"
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text()}")
    (log,) = tmp_path.glob("root/small/*/_logs/Only.log")
    # The line that names the process may come after the first that it prints.
    assert "begun" in log.read_text().splitlines()
