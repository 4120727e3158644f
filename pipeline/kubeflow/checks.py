"""Checks of a compiled pipeline before it is uploaded: what the backend would refuse, or fail at hours later."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.kubeflow.spec_edits import container, dags
from pipeline.recipe.recipe import Recipe
from trainer.base.addresses import check_bucket_address
from trainer.base.errors import UserError

MAX_TASK_NAME = 121
"""The most characters of a task's name; the backend adds `-driver` and uses it as a name of Argo's."""

MAX_PARAMETERS_BYTES = 10_000
"""The most bytes of all parameters of a run together."""

MAX_ARGUMENT_BYTES = 128 * 1024
"""The most bytes that Linux takes in one argument of a command line."""

MAX_PIPELINE_BYTES = 1_000_000
"""The most bytes of a pipeline: half of what etcd takes, since the workflow made of it repeats it."""

_ARTIFACT_BYTES = 1_000
"""About how many bytes one artifact adds to the argument that replaces {{$}}: name, type, address, metadata."""

_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_PIPELINE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_IMAGE = re.compile(r"[a-zA-Z0-9][\w.\-/:]*(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})")

Tree = dict[str, Any]


def check_places(recipe: Recipe, image: str, pipeline_root: str) -> None:
    """Refuses addresses that pods cannot reach.

    Args:
        recipe: The recipe that is to be compiled.
        image: The address of the image of all steps.
        pipeline_root: The gs:// directory of the artifacts.

    Raises:
        UserError: If the root is no directory in a bucket; if a pattern, the vocabulary or the push directory is a path
            of this machine; or if the image has no tag.
    """
    check_bucket_address(pipeline_root, "--pipeline-root")
    if not _IMAGE.fullmatch(image):
        raise UserError(
            "--image must be the address of an image with its tag or digest, such as REGISTRY/yt8m:1.0; without one "
            f"a run would not say what it ran. Received: {image!r}"
        )
    for key, pattern in (
        *(("data.train", pattern) for pattern in recipe.data.train),
        *(("data.validate", pattern) for pattern in recipe.data.validate_),
        *(("data.holdout_files", pattern) for pattern in recipe.data.holdout_patterns),
        *([("data.vocabulary", recipe.data.vocabulary)] if recipe.data.vocabulary else ()),
        *([("teacher.directory", recipe.teacher.directory)] if recipe.teacher.directory else ()),
        ("push.directory", recipe.push.directory),
        *(("training.start", start) for start in map(recipe.start_of, recipe.trained) if start),
    ):
        if not pattern.startswith("gs://"):
            _check_mounted(recipe, key, pattern)


def _check_mounted(recipe: Recipe, key: str, path: str) -> None:
    mounted = [volume.rstrip("/") for volume in recipe.kubernetes.volumes.values()]
    if not any(path.startswith(f"{volume}/") for volume in mounted):
        known = f" (mounted are {', '.join(mounted)})" if mounted else ""
        raise UserError(
            f"{key}: {path} is a path that a pod does not have{known}; give a path below a volume of "
            "kubernetes.volumes (CLAIM: /PATH), or gs://BUCKET/..."
        )


def check_gpus(recipe: Recipe) -> None:
    """Refuses GPUs for which the image has no kernels.

    Raises:
        UserError: If a pool's GPUs have a lower compute capability than `kubernetes.image_compute_capability`.
    """
    least = recipe.kubernetes.image_compute_capability
    for variant in recipe.trained.values():
        pool = recipe.kubernetes.pool_of(variant)
        if pool and pool.profile.compute_capability < least:
            has = pool.profile.compute_capability
            raise UserError(
                f"kubernetes: the GPUs of pool {pool.name} (Trainer-{variant}) have compute capability {has:g}, and "
                f"the image's TensorFlow has kernels from {least:g} on, as TensorFlow 2.21's wheels do. It needs an "
                f"image with TensorFlow built from source for {has:g}"
                + (" on CUDA 11 (CUDA 12 cannot)" if has < 5 else "")
                + f"; if --image is one, say kubernetes.image_compute_capability={has:g}; otherwise take another pool"
            )


_TOLD_REASONS = 5
"""A file with a part cut out has a reason for each task."""


def check_spec(spec: Tree, platform: Tree) -> None:
    """Parses both documents strictly, then checks them against the backend's own rules.

    Args:
        spec: The PipelineSpec.
        platform: The PlatformSpec.

    Raises:
        UserError: If the backend would refuse the pipeline; the message has the first reasons.
    """
    if reasons := [*_parse_errors(spec, platform)] or [*_refusals(spec, platform)]:
        more = len(reasons) - _TOLD_REASONS
        told = "; ".join(reasons[:_TOLD_REASONS]) + (f"; and {more} more" if more > 0 else "")
        raise UserError(f"Kubeflow Pipelines would not take this pipeline: {told}")


def _parse_errors(spec: Tree, platform: Tree) -> Iterator[str]:
    # Seconds, which a refused address need not wait for.
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    messages = [
        (spec, pipeline_spec_pb2.PipelineSpec(), "pipeline"),
        (spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig(), "deploymentSpec"),
        (platform, pipeline_spec_pb2.PlatformSpec(), "platform document"),
        *(
            (settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig(), f"platform, {label}")
            for label, settings in _platform_executors(platform).items()
        ),
    ]
    for tree, message, where in messages:
        try:
            json_format.ParseDict(tree, message)
        except json_format.ParseError as error:
            yield f"{where}: {' '.join(str(error).split())}"


def _refusals(spec: Tree, platform: Tree) -> Iterator[str]:
    if spec.get("schemaVersion") != "2.1.0":
        yield f"schemaVersion must be 2.1.0. Received: {spec.get('schemaVersion')}"
    name = spec["pipelineInfo"]["name"]
    if not _PIPELINE_NAME.fullmatch(name) or len(name) > 63:
        yield f"the pipeline's name {name!r} must be lower-case letters, digits and hyphens, at most 63"
    executors = spec["deploymentSpec"]["executors"]
    for label, executor in executors.items():
        kind = next(iter(executor), "nothing")
        if kind not in ("container", "importer"):
            yield f"{label} is a {kind}, of which the backend runs none"
    for label in _platform_executors(platform):
        if label not in executors:
            yield f"the platform document speaks of {label}, which the pipeline does not have"
    roots = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for parameter, definition in roots.items():
        if "defaultValue" not in definition:
            yield f"the pipeline's parameter {parameter} has no default, and a schedule gives none"
    size = len(json.dumps({key: definition.get("defaultValue") for key, definition in roots.items()}))
    if size >= MAX_PARAMETERS_BYTES:
        yield f"the pipeline's parameters take {size:,} bytes, and a run has {MAX_PARAMETERS_BYTES:,}"
    for tasks, parameters in dags(spec):
        for name, task in tasks.items():
            yield from _task_refusals(name, task, spec, tasks, parameters)
    size = len(json.dumps([spec, platform]))
    if size > MAX_PIPELINE_BYTES:
        yield f"the pipeline takes {size:,} bytes, more than {MAX_PIPELINE_BYTES:,}; take fewer variants"


def _task_refusals(name: str, task: Tree, spec: Tree, tasks: Tree, parameters: Tree) -> Iterator[str]:
    if not _TASK_NAME.fullmatch(name) or len(name) > MAX_TASK_NAME:
        yield (
            f"the task name {name!r:.140} must be letters, digits and hyphens, beginning with no hyphen, at most "
            f"{MAX_TASK_NAME}"
        )
    for key, value in task.get("inputs", {}).get("parameters", {}).items():
        source = value.get("taskOutputParameter")
        if source and source["outputParameterKey"] not in _outputs(
            spec, tasks, source["producerTask"], "parameters"
        ):
            yield f"{name}: {key} comes from another task's output, which TFX's executors do not write"
        if value.get("componentInputParameter", "") and value["componentInputParameter"] not in parameters:
            yield f"{name}: {key} asks for the pipeline's parameter {value['componentInputParameter']}: there is none"
    for key, value in task.get("inputs", {}).get("artifacts", {}).items():
        if "taskOutputArtifact" in value:
            yield from _producer_refusals(
                f"{name}: input {key}", value["taskOutputArtifact"], task, spec, tasks
            )
    if "container" not in _executor(spec, task):
        return
    size = _argument_bytes(task, spec)
    longest = max([size, *(len(argument.encode()) for argument in container(spec, name)["args"])])
    if longest > MAX_ARGUMENT_BYTES:
        yield (
            f"{name}: an argument of its command line takes about {longest:,} bytes, more than "
            f"{MAX_ARGUMENT_BYTES:,}; take fewer variants, or shorter values"
        )


def _producer_refusals(where: str, source: Tree, task: Tree, spec: Tree, tasks: Tree) -> Iterator[str]:
    producer = source["producerTask"]
    if producer not in tasks:
        yield f"{where} comes from {producer}, which is no task"
        return
    if source["outputArtifactKey"] not in _outputs(spec, tasks, producer, "artifacts"):
        yield f"{where} comes from the output {source['outputArtifactKey']} of {producer}, which has none of that name"
    if producer not in task.get("dependentTasks", ()):
        # The order is made of dependentTasks alone.
        yield f"{where} comes from {producer}, for which the task does not wait"


def _outputs(spec: Tree, tasks: Tree, producer: str, kind: str) -> Tree:
    if producer not in tasks:
        return {}
    component = spec["components"][tasks[producer]["componentRef"]["name"]]
    return component.get("outputDefinitions", {}).get(kind, {})


def _argument_bytes(task: Tree, spec: Tree) -> int:
    """Estimates the bytes of the argument that the backend puts in the place of {{$}}."""
    component = spec["components"][task["componentRef"]["name"]]
    artifacts = len(task.get("inputs", {}).get("artifacts", {})) + len(
        component.get("outputDefinitions", {}).get("artifacts", {})
    )
    parameters = task.get("inputs", {}).get("parameters", {})
    return artifacts * _ARTIFACT_BYTES + len(json.dumps(parameters))


def _executor(spec: Tree, task: Tree) -> Tree:
    label = spec["components"][task["componentRef"]["name"]].get("executorLabel")
    return spec["deploymentSpec"]["executors"].get(label, {})


def _platform_executors(platform: Tree) -> Tree:
    return platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
