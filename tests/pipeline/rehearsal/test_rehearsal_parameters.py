import re

import pytest
from google.protobuf import json_format

from pipeline.kubeflow.checks import MAX_PARAMETERS_BYTES
from pipeline.kubeflow.package import Package, read_package
from pipeline.rehearsal.compiled_file import CompiledFile
from pipeline.rehearsal.graph import read_tasks
from pipeline.rehearsal.parameters import Run, run_parameters, task_parameters
from tests.pipeline.rehearsed import documents, step, write
from trainer.base.errors import UserError

DEFAULTS = {"destination": "/models", "limit": 1024, "share": 0.01}


def package(tmp_path) -> Package:
    spec, _ = documents({"One": step("")}, DEFAULTS)
    return read_package(write(tmp_path, spec))


def plain(values) -> dict:
    return {name: json_format.MessageToDict(value) for name, value in values.items()}


def test_a_run_says_what_differs_from_the_defaults(tmp_path) -> None:
    known = package(tmp_path)
    assert plain(run_parameters(known, [])) == DEFAULTS
    changed = run_parameters(known, ["limit=7", "destination=/a=b", "share=1e-3"])
    assert plain(changed) == {"destination": "/a=b", "limit": 7.0, "share": 0.001}


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("limit", "--set is NAME=VALUE. Received: 'limit'"),
        ("limits=1", "no such parameter, did you mean limit"),
        ("limit=1.5", r"--set limit must be a whole number, such as \d+\. Received: '1.5'"),
        ("limit=1GB", r"--set limit must be a whole number, such as \d+\. Received: '1GB'"),
        ("share=true", r"--set share must be a number, such as [\d.]+\. Received: 'true'"),
        ("share=nan", "must be a number, .* Received: 'nan'"),
        ("share=", "must be a number, .* Received: ''"),
        (f"destination={'x' * MAX_PARAMETERS_BYTES}", "fewer than 10,000"),
    ],
)
def test_wrong_settings(tmp_path, setting: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        run_parameters(package(tmp_path), [setting])


def task_of(tmp_path, component: dict, parameters: dict):
    spec, _ = documents({"One": step("")}, DEFAULTS)
    spec["components"]["One"]["inputDefinitions"] = {"parameters": component}
    spec["root"]["dag"]["tasks"]["One"]["inputs"] = {"parameters": parameters}
    compiled = CompiledFile.read(write(tmp_path, spec))
    return read_tasks(compiled)["One"], compiled.package


def constant(value) -> dict:
    return {"runtimeValue": {"constant": value}}


def test_where_a_tasks_parameters_come_from(tmp_path) -> None:
    text, number = {"parameterType": "STRING"}, {"parameterType": "NUMBER_INTEGER"}
    task, known = task_of(
        tmp_path,
        {
            "own": number,
            "of_the_run": number,
            "run_id": text,
            "who": text,
            "at": text,
            "as_text": text,
            "defaulted": {**text, "defaultValue": "there"},
            "optional": {**text, "isOptional": True},
        },
        {
            "own": constant(5),
            "of_the_run": {"componentInputParameter": "limit"},
            "run_id": constant("{{$.pipeline_job_uuid}}"),
            "who": constant("{{$.pipeline_task_name}}"),
            "at": constant("{{$.pipeline_job_schedule_time_utc}}"),
            "as_text": constant(3),
        },
    )
    run = Run("small", run_parameters(known, ["limit=9"]))
    found = plain(task_parameters(task, run))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("at"))
    assert found == {
        "own": 5.0, "of_the_run": 9.0, "run_id": run.id, "who": "One", "as_text": "3", "defaulted": "there",
    }  # fmt: skip
    assert Run("small", {}).id != run.id


@pytest.mark.parametrize(
    ("definition", "given", "reason"),
    [
        ({"parameterType": "NUMBER_INTEGER"}, constant("5"), "One: p must be a NUMBER_INTEGER. Received: \"5\""),
        ({"parameterType": "STRING"}, constant("x {{$.pipeline_root}}"), "a rehearsal knows {{.*pipeline_job_uuid"),
        ({"parameterType": "STRING"}, None, "One: the parameter p has neither a value nor a default"),
    ],
)  # fmt: skip
def test_what_no_task_could_work_with(tmp_path, definition: dict, given, reason: str) -> None:
    task, _ = task_of(tmp_path, {"p": definition}, {"p": given} if given else {})
    with pytest.raises(UserError, match=reason):
        task_parameters(task, Run("small", {}))
