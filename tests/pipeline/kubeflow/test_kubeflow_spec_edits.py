import copy
import json

import pytest

from pipeline.kubeflow import spec_edits
from pipeline.kubeflow.sizing import Resources
from pipeline.kubeflow.spec_edits import RetryPolicy

SCHEMA = "title: tfx.Model\ntype: object\nproperties:\n  span:\n    type: integer\n"
# What TFX makes of two components, shortened.
SPEC = {
    "pipelineInfo": {"name": "small"},
    "schemaVersion": "2.1.0",
    "components": {
        "Baseline": {
            "executorLabel": "Baseline_executor",
            "inputDefinitions": {
                "parameters": {
                    "push_destination": {"parameterType": "STRING"},
                    "run_id": {"parameterType": "STRING"},
                }
            },
            "outputDefinitions": {"artifacts": {"model": {"artifactType": {"instanceSchema": SCHEMA}}}},
        },
        "Pusher": {
            "executorLabel": "Pusher_executor",
            "inputDefinitions": {
                "artifacts": {"model": {"artifactType": {"instanceSchema": SCHEMA}}},
                "parameters": {"push_destination": {"parameterType": "STRING"}},
            },
        },
    },
    "deploymentSpec": {
        "executors": {
            f"{name}_executor": {
                "container": {
                    "image": "image:1",
                    "command": ["python", "-m", "entry"],
                    "lifecycle": {"preCacheCheck": {"command": ["driver"]}},
                    "args": [
                        "--executor_class_path",
                        f"components.{name}.Executor",
                        "--json_serialized_invocation_args",
                        "{{$}}",
                        "--json_serialized_inputs_spec_args",
                        "{}",
                        "--runner=DirectRunner",
                        "--direct_num_workers=1",
                    ],
                }
            }
            for name in ("Baseline", "Pusher")
        }
    },
    "root": {
        "inputDefinitions": {"parameters": {"pipeline-run-id": {"parameterType": "STRING"}}},
        "dag": {
            "tasks": {
                "Baseline": {
                    "componentRef": {"name": "Baseline"},
                    "cachingOptions": {"enableCache": True},
                    "inputs": {
                        "parameters": {
                            "push_destination": {"runtimeValue": {"constant": "/models"}},
                            "run_id": {"componentInputParameter": "pipeline-run-id"},
                        }
                    },
                },
                "Pusher": {
                    "componentRef": {"name": "Pusher"},
                    "cachingOptions": {"enableCache": True},
                    "inputs": {"parameters": {"push_destination": {"runtimeValue": {"constant": "/models"}}}},
                },
            }
        },
    },
}


@pytest.fixture(autouse=True)
def _functions_are_pure():
    before = copy.deepcopy(SPEC)
    yield
    assert before == SPEC


def changed(*path: str, value: object = None) -> dict:
    """SPEC with one value set, or taken out."""
    spec = copy.deepcopy(SPEC)
    node = spec
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return spec


def test_pipeline_root() -> None:
    assert spec_edits.with_pipeline_root(SPEC, "gs://bkt/root") == {
        **SPEC,
        "defaultPipelineRoot": "gs://bkt/root",
    }


def test_run_id() -> None:
    expected = changed("root", "inputDefinitions")
    expected["root"]["dag"]["tasks"]["Baseline"]["inputs"]["parameters"]["run_id"] = {
        "runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}
    }
    assert spec_edits.with_run_id(SPEC, "pipeline-run-id") == expected


def test_root_parameters_have_the_compiled_value_as_default() -> None:
    made = spec_edits.with_root_parameters(SPEC, {"push_destination": ("Baseline", "Pusher")})
    expected = changed(
        "root",
        "inputDefinitions",
        "parameters",
        value={
            "pipeline-run-id": {"parameterType": "STRING"},
            "push_destination": {"parameterType": "STRING", "defaultValue": "/models"},
        },
    )
    for task in ("Baseline", "Pusher"):
        parameters = expected["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
        parameters["push_destination"] = {"componentInputParameter": "push_destination"}
    assert made == expected


def test_root_parameter_of_two_values_is_a_mistake() -> None:
    spec = changed(
        *("root", "dag", "tasks", "Pusher", "inputs", "parameters", "push_destination"),
        value={"runtimeValue": {"constant": "/other"}},
    )
    with pytest.raises(ValueError, match="push_destination differs"):
        spec_edits.with_root_parameters(spec, {"push_destination": ("Baseline", "Pusher")})


def test_caching_off() -> None:
    assert spec_edits.with_caching_off(SPEC, ["Pusher"]) == changed(
        "root",
        "dag",
        "tasks",
        "Pusher",
        value=SPEC["root"]["dag"]["tasks"]["Pusher"] | {"cachingOptions": {}},
    )


def test_retries() -> None:
    policies = {"Pusher": RetryPolicy(3, backoff=30), "Baseline": RetryPolicy(0)}
    assert spec_edits.with_retries(SPEC, policies) == changed(
        *("root", "dag", "tasks", "Pusher", "retryPolicy"),
        value={
            "maxRetryCount": 3,
            "backoffDuration": "30s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": "2592000s",
        },
    )


def test_resources() -> None:
    wanted = {
        "Baseline": Resources(cpus=1, memory_gb=3),
        "Pusher": Resources(cpus=7, memory_gb=9, gpus=2, gpu_resource="nvidia.com/gpu"),
    }
    made = spec_edits.with_resources(SPEC, wanted)
    assert spec_edits.container(made, "Baseline")["resources"] == {
        "cpuLimit": 1.0,
        "cpuRequest": 1.0,
        "memoryLimit": 3.0,
        "memoryRequest": 3.0,
    }
    assert spec_edits.container(made, "Pusher")["resources"] == {
        "cpuLimit": 7.0,
        "cpuRequest": 7.0,
        "memoryLimit": 9.0,
        "memoryRequest": 9.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "2"},
    }


def test_arguments_name_the_component_and_reach_beam_steps_only() -> None:
    made = spec_edits.with_entry_point_arguments(SPEC, {"Pusher": ["--runner=FlinkRunner"]})
    assert spec_edits.container(made, "Baseline") == {
        "image": "image:1",
        "command": ["python", "-m", "entry"],
        "args": [
            "--component_id",
            "Baseline",
            "--executor_class_path",
            "components.Baseline.Executor",
            "--json_serialized_invocation_args",
            "{{$}}",
            "--json_serialized_inputs_spec_args",
            '{"parameters":{"push_destination":{"parameterType":"STRING"},"run_id":{"parameterType":"STRING"}}}',
        ],
    }
    arguments = spec_edits.container(made, "Pusher")["args"]
    assert arguments[8:] == ["--runner=FlinkRunner"]
    assert json.loads(arguments[7]) == {
        "artifacts": {"model": {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}},
        "parameters": {"push_destination": {"parameterType": "STRING"}},
    }
    assert made["components"] == SPEC["components"]
