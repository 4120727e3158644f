import json
import logging
import os
import subprocess
from pathlib import Path

import pytest

from trainer.base.errors import UserError

pytestmark = pytest.mark.slow


def pipeline(base: Path, text: str = "hello", mood: str = "calm"):
    from tfx.orchestration import metadata
    from tfx.orchestration.pipeline import Pipeline

    from tests.pipeline.tiny_components import Check, Write

    write = Write(text=text)
    return Pipeline(
        pipeline_name="tiny",
        pipeline_root=str(base / "artifacts"),
        components=[write, Check(mood=mood, model=write.outputs["model"])],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(base / "metadata.sqlite")),
    )


def run(base: Path, **options: str):
    from pipeline.local.runner import run_pipeline

    return run_pipeline(pipeline(base, **options), base)


def test_second_run_comes_from_the_cache_and_a_change_does_not(tmp_path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert [(time.node, time.cached) for time in first.times] == [("Write", False), ("Check", False)]
    assert [(time.node, time.cached) for time in second.times] == [("Write", True), ("Check", True)]
    assert second.outputs["Write"].uris == first.outputs["Write"].uris
    (uri,) = second.outputs["Write"].uris["model"]
    assert Path(uri, "text").read_text() == "hello"
    third = run(tmp_path, text="changed")
    assert not any(time.cached for time in third.times)
    assert third.outputs["Write"].uris != first.outputs["Write"].uris


def test_progress_reaches_the_terminal_and_chatter_the_log(tmp_path, capfd) -> None:
    from pipeline.cli.guard import prepare_logging

    prepare_logging()
    try:
        finished = run(tmp_path)
    finally:
        logging.getLogger("yt8m").handlers = []
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.split(" ", 1)[1] for line in err.splitlines() if "done" not in line] == [
        "[ 1/2] Write ...",
        "[ 2/2] Check ...",
    ]
    log = Path(finished.log_file).read_text()
    assert "[ 1/2] Write done" in log
    assert "Component Write is running." in log


def test_refusal_of_a_component_is_a_user_error_that_names_it(tmp_path) -> None:
    with pytest.raises(UserError, match=r"^Check: the text is wrong, in the model; write another") as caught:
        run(tmp_path, mood="refuse")
    (log,) = (tmp_path / "logs").glob("*.log")
    assert str(log) in str(caught.value)
    assert "Traceback" in log.read_text()
    record = json.loads(log.with_suffix(".json").read_text())
    assert record["error"] == "Check: the text is wrong, in the model; write another"
    assert (record["pipeline"], record["graph"]) == ("tiny", {"Write": [], "Check": ["Write"]})


def test_fault_of_a_component_names_it_and_the_log(tmp_path) -> None:
    from pipeline.local.runner import RunFailedError

    with pytest.raises(RunFailedError, match=r"^Check: ZeroDivisionError: ") as caught:
        run(tmp_path, mood="break")
    assert "try this: the same command again keeps all steps that are done" in str(caught.value)
    assert "ZeroDivisionError" in Path(caught.value.log_file).read_text()
    assert run(tmp_path).times[0].cached


def test_a_fault_after_a_push_says_first_what_was_pushed(tmp_path, monkeypatch) -> None:
    from pipeline.local import runner as local_runner

    def pushed(outputs):
        assert outputs["Write"].succeeded
        return 3

    monkeypatch.setattr(local_runner, "pushed_version", pushed)
    with pytest.raises(
        local_runner.RunFailedError, match=r"^version 3 was pushed, then Check: ZeroDivisionError: "
    ):
        run(tmp_path, mood="break")


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(small_disk) -> None:
    from pipeline.local.runner import RunFailedError

    with pytest.raises(RunFailedError, match=r"^Check: ResourceExhaustedError: .*No space left") as caught:
        run(small_disk, mood="fill the disk")
    message = str(caught.value)
    assert f"try this: make room on the full disk of --root ({small_disk}, " in message
    assert message.endswith(" of 2 MiB free now), or choose another --root; then give the same command again")
    assert "batch_size" not in message
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    assert [time.cached for time in run(small_disk, mood="fill the disk").times] == [True, False]


def test_an_interrupted_run_says_where_and_what_next(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, mood="interrupt")
    (log,) = (tmp_path / "logs").glob("*.log")
    assert f"interrupted in Check; the same command goes on (log: {log})" in log.read_text()
    assert run(tmp_path).times[0].cached


def test_output_is_restored_after_a_failure(tmp_path, capfd) -> None:
    with pytest.raises(UserError):
        run(tmp_path, mood="refuse")
    capfd.readouterr()
    os.write(1, b"out")
    os.write(2, b"err")
    assert capfd.readouterr() == ("out", "err")


def test_user_error_is_found_in_what_beam_makes_of_it() -> None:
    from pipeline.user_errors import find_user_error

    in_process = UserError("bad shard; fix it [while running 'Read/Map']")
    assert find_user_error(in_process) == "bad shard; fix it"
    printed = "Error from SDK harness: Traceback ...\ntrainer.base.errors.UserError: bad shard; fix it\n"
    assert find_user_error(RuntimeError(printed)) == "bad shard; fix it"
    assert find_user_error(RuntimeError("other")) is None


def test_a_fault_while_a_user_error_was_handled_is_a_fault() -> None:
    from pipeline.user_errors import find_user_error

    fault = KeyError("fallback")
    fault.__context__ = UserError("no such file")
    assert find_user_error(fault) is None
    fault.__cause__ = UserError("the reason")
    assert find_user_error(fault) == "the reason"
