"""Small pipelines of scripts, as compiled files."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

READ = "import json, sys, os; given = json.loads(sys.argv[1]); outputs = given['outputs']\n"
"""What a script begins with to have its ExecutorInput as `given`."""

WRITE = """
def write(**metadata):
    made = {
        key: {'artifacts': [{'uri': entry['artifacts'][0]['uri'], 'metadata': metadata}]}
        for key, entry in outputs['artifacts'].items() if key != 'executor-logs'
    }
    # The backend of 2.14 makes no directory for it.
    os.makedirs(os.path.dirname(outputs['outputFile']), exist_ok=True)
    with open(outputs['outputFile'], 'w') as file:
        json.dump({'artifacts': made}, file)
"""
"""And to hand its outputs back."""

MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}


def step(
    script: str,
    *,
    inputs: dict[str, str] | None = None,
    outputs: Sequence[str] = (),
    parameters: dict[str, Any] | None = None,
    after: Sequence[str] = (),
    **task: Any,
) -> dict[str, Any]:
    """One task of a script.

    Args:
        script: Python; sys.argv[1] is the ExecutorInput.
        inputs: Key: `task.key` of the artifact.
        outputs: Keys of artifacts.
        parameters: Name: constant.
        after: Further tasks to wait for.
        task: Further settings of the task, such as `retryPolicy`.
    """
    sources = {key: source.split(".") for key, source in (inputs or {}).items()}
    return {
        "script": script,
        "outputs": list(outputs),
        "task": {
            "dependentTasks": sorted({producer for producer, _ in sources.values()} | {*after}),
            "inputs": {
                "artifacts": {
                    key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": output}}
                    for key, (producer, output) in sources.items()
                },
                "parameters": {
                    name: {"runtimeValue": {"constant": value}} for name, value in (parameters or {}).items()
                },
            },
            **task,
        },
    }


def documents(
    steps: dict[str, dict[str, Any]], root_parameters: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two documents of a pipeline of steps."""
    types = {str: "STRING", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
    spec = {
        "pipelineInfo": {"name": "small"},
        "schemaVersion": "2.1.0",
        "defaultPipelineRoot": "gs://bucket/runs",
        "components": {
            name: {
                "executorLabel": f"{name}_executor",
                "inputDefinitions": {
                    "artifacts": dict.fromkeys(made["task"]["inputs"]["artifacts"], MODEL),
                    "parameters": {
                        key: {"parameterType": types[type(value["runtimeValue"]["constant"])]}
                        for key, value in made["task"]["inputs"]["parameters"].items()
                    },
                },
                "outputDefinitions": {"artifacts": dict.fromkeys(made["outputs"], MODEL)},
            }
            for name, made in steps.items()
        },
        "deploymentSpec": {
            "executors": {
                f"{name}_executor": {
                    "container": {
                        "image": "image:1",
                        "command": ["python", "-c", f"{READ}{WRITE}{made['script']}"],
                        "args": ["{{$}}"],
                    }
                }
                for name, made in steps.items()
            }
        },
        "root": {
            "inputDefinitions": {
                "parameters": {
                    name: {"parameterType": types[type(value)], "defaultValue": value}
                    for name, value in (root_parameters or {}).items()
                }
            },
            "dag": {
                "tasks": {
                    name: {"componentRef": {"name": name}, "taskInfo": {"name": name}, **made["task"]}
                    for name, made in steps.items()
                }
            },
        },
    }
    return spec, {}


def write(directory: Path, spec: dict[str, Any], platform: dict[str, Any] | None = None) -> str:
    """The compiled file."""
    path = directory / "small.yaml"
    path.write_text(yaml.safe_dump_all([spec, platform or {}]), encoding="utf-8")
    return str(path)


def run(path: str | Path, root: str | Path, settings: Sequence[str] = (), **options: Any) -> Any:
    """Rehearses a compiled file."""
    from pipeline.rehearsal.compiled_file import CompiledFile
    from pipeline.rehearsal.parameters import run_parameters
    from pipeline.rehearsal.rehearse import rehearse

    compiled = CompiledFile.read(str(path))
    parameters = run_parameters(compiled.package, settings)
    return rehearse(compiled, str(root), parameters, **{"longest_wait": 0, **options})


def run_steps(directory: Path, steps: dict[str, dict[str, Any]], **options: Any) -> Any:
    """Rehearses steps."""
    return run(write(directory, *documents(steps)), directory / "root", **options)


def command_line(*arguments: str) -> list[str]:
    """Of `yt8m`."""
    return [sys.executable, "-m", "pipeline.cli.main", *arguments]


def seen(finished: Any, task: str) -> dict[str, Any]:
    """The ExecutorInput that a task printed as its last line."""
    text = Path(finished.tasks[task].log).read_text(encoding="utf-8")
    return json.loads(text.splitlines()[-1])


def states(finished) -> dict[str, str]:
    return {name: outcome.state for name, outcome in finished.tasks.items()}
