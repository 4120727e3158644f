"""A pipeline in the pipeline with a condition on what another task puts out, as kfp's compiler makes it of dsl.If."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.checks import check_spec
from tests.pipeline.rehearsed import documents, run, step, write
from trainer.base.errors import UserError

PUTS_OUT = """
os.makedirs(os.path.dirname(outputs['outputFile']), exist_ok=True)
with open(outputs['outputFile'], 'w') as file:
    json.dump({'parameterValues': {'changed': given['inputs']['parameterValues']['say'], 'more': 'x y'}}, file)
"""
SHOWS = "print(json.dumps(given['inputs']['parameterValues'])); write()"


def conditional(say: str, condition: str = "inputs.parameter_values['changed'] == 'true'") -> dict[str, Any]:
    """Gate, and behind it the pipeline `Inner` with First and Second."""
    spec, _ = documents(
        {
            "Gate": step(PUTS_OUT, parameters={"say": say}),
            "First": step(SHOWS, outputs=["model"], parameters={"more": "", "speed": 0}),
            "Second": step("write()", inputs={"model": "First.model"}),
        },
        {"speed": 7},
    )
    text = {"parameterType": "STRING"}
    tasks = spec["root"]["dag"]["tasks"]
    spec["components"]["Gate"]["outputDefinitions"]["parameters"] = {"changed": text, "more": text}
    first = tasks.pop("First")
    first["inputs"]["parameters"] = {name: {"componentInputParameter": name} for name in ("more", "speed")}
    spec["components"]["Inner"] = {
        "dag": {"tasks": {"First": first, "Second": tasks.pop("Second")}},
        "inputDefinitions": {
            "parameters": {"changed": text, "more": text, "speed": {"parameterType": "NUMBER_INTEGER"}}
        },
    }
    tasks["Inner"] = {
        "componentRef": {"name": "Inner"},
        "taskInfo": {"name": "Inner"},
        "dependentTasks": ["Gate"],
        "triggerPolicy": {"condition": condition},
        "inputs": {
            "parameters": {
                "speed": {"componentInputParameter": "speed"},
                **{
                    name: {"taskOutputParameter": {"producerTask": "Gate", "outputParameterKey": name}}
                    for name in ("changed", "more")
                },
            }
        },
    }
    check_spec(spec, {})
    return spec


def test_where_the_condition_holds_everything_runs_with_what_the_task_put_out(tmp_path: Path) -> None:
    finished = run(write(tmp_path, conditional("true")), tmp_path / "root")
    assert {name: outcome.state for name, outcome in finished.tasks.items()} == dict.fromkeys(
        ("Gate", "First", "Second"), "succeeded"
    )
    assert '{"more": "x y", "speed": 7' in Path(finished.tasks["First"].log).read_text()


def test_where_it_does_not_hold_nothing_is_started_and_nothing_has_failed(tmp_path: Path) -> None:
    finished = run(write(tmp_path, conditional("false")), tmp_path / "root")
    assert {name: (one.state, one.attempts) for name, one in finished.tasks.items()} == {
        "Gate": ("succeeded", 1),
        "First": ("skipped", 0),
        "Second": ("skipped", 0),
    }
    assert not finished.failures


def test_a_task_that_puts_nothing_out_has_failed(tmp_path: Path) -> None:
    spec = conditional("true")
    spec["deploymentSpec"]["executors"]["Gate_executor"]["container"]["command"][-1] = "pass"
    finished = run(write(tmp_path, spec), tmp_path / "root", retry=False)
    assert "no parameter changed, more" in finished.tasks["Gate"].reason
    assert finished.tasks["First"].state == "not run"


def test_other_conditions_and_unknown_outputs_are_refused(tmp_path: Path) -> None:
    spec = conditional("true", "inputs.parameter_values['changed'] != 'true'")
    with pytest.raises(UserError, match="Inner: a rehearsal does not know the condition"):
        run(write(tmp_path, spec), tmp_path / "root")
    wrong = copy.deepcopy(conditional("true"))
    wrong["root"]["dag"]["tasks"]["Inner"]["inputs"]["parameters"]["more"]["taskOutputParameter"][
        "outputParameterKey"
    ] = "less"
    with pytest.raises(UserError, match="Inner: more comes from another task's output"):
        check_spec(wrong, {})
