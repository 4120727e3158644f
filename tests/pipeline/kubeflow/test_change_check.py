"""Whether anything is new: each of data, code, recipe and served model, and what a finished run leaves."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow import change_check


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the check looks at, without TFX."""
    seen = {"files": "a 1", "source": "abc", "served": 3}
    monkeypatch.setattr(change_check, "_data_fingerprint", lambda parameters: seen["files"])
    monkeypatch.setattr(change_check, "source_digest", lambda: seen["source"])
    monkeypatch.setattr(change_check, "served_version", lambda base: seen["served"])
    return seen


def run(tmp_path: Path, name: str, **parameters: Any) -> dict[str, Any]:
    """Runs one of the tasks as the backend does; gives what it puts out, and its report."""
    uri = tmp_path / "root/pipeline/run" / name / "uuid/report"
    given = {
        "inputs": {
            "parameterValues": {
                "recipe": "{}", "image": "image:1", "push_destination": "/served", "run_id": "R1", **parameters
            }
        },
        "outputs": {
            "artifacts": {"report": {"artifacts": [{"uri": str(uri)}]}},
            "outputFile": str(tmp_path / "out/output_metadata.json"),
        },
    }  # fmt: skip
    assert change_check.main([name, json.dumps(given)]) == 0
    made = json.loads((tmp_path / "out/output_metadata.json").read_text())["parameterValues"]
    return {**made, "report": json.loads(uri.read_text())}


def test_a_finished_run_is_remembered_and_what_differs_is_named(
    tmp_path: Path, world: dict[str, Any]
) -> None:
    first = run(tmp_path, "ChangeCheck")
    assert (first["changed"], first["report"]["said"]) == ("true", "no run of this pipeline has finished yet")
    assert run(tmp_path, "ChangeCheck")["changed"] == "true", "the first run may have failed"
    world["served"] = 4  # which it pushed
    run(tmp_path, "RecordRun", fingerprint=first["fingerprint"])
    second = run(tmp_path, "ChangeCheck", run_id="R2")
    assert second["changed"] == "false"
    assert second["report"]["said"].startswith("nothing new since run R1")
    forced = run(tmp_path, "ChangeCheck", force=True)
    assert (forced["changed"], forced["report"]["said"]) == (
        "true", "new since run R1: nothing, but the run is forced"
    )  # fmt: skip
    for key, value, what in (
        ("files", "a 2", "data"),
        ("source", "abd", "code"),
        ("served", 3, "served"),
    ):
        before, world[key] = world[key], value
        made = run(tmp_path, "ChangeCheck")
        assert (made["changed"], made["report"]["said"]) == ("true", f"new since run R1: {what}")
        world[key] = before
    assert run(tmp_path, "ChangeCheck", recipe='{"a": 1}')["report"]["said"] == "new since run R1: recipe"
    assert run(tmp_path, "ChangeCheck", image="image:2")["report"]["said"] == "new since run R1: code"
    assert run(tmp_path, "ChangeCheck")["changed"] == "false"
