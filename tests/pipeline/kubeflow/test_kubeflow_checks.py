import copy

import pytest

from pipeline.kubeflow import checks
from pipeline.kubeflow.installed import installed_file, resolve_installed
from pipeline.kubeflow.platform import platform_document
from pipeline.recipe.loader import load_recipe
from trainer.base.errors import UserError

BUCKET = {"train": ["gs://bkt/train*"], "validate": ["gs://bkt/validate*"]}
MOUNTED = ["kubernetes.volumes.models=/models", "push.directory=/models/yt8m"]
IMAGE, ROOT = "registry:5000/team/yt8m:1.0", "gs://bucket/root"
SPEC = {
    "pipelineInfo": {"name": "small"},
    "schemaVersion": "2.1.0",
    "components": {
        "Baseline": {
            "executorLabel": "Baseline_executor",
            "inputDefinitions": {"parameters": {"push_destination": {"parameterType": "STRING"}}},
        }
    },
    "deploymentSpec": {
        "executors": {"Baseline_executor": {"container": {"image": IMAGE, "args": ["{{$}}"]}}}
    },
    "root": {
        "inputDefinitions": {
            "parameters": {"push_destination": {"parameterType": "STRING", "defaultValue": "/models"}}
        },
        "dag": {
            "tasks": {
                "Baseline": {
                    "componentRef": {"name": "Baseline"},
                    "inputs": {
                        "parameters": {"push_destination": {"componentInputParameter": "push_destination"}}
                    },
                }
            }
        },
    },
}
PLATFORM = platform_document(["Baseline"], {}, {})
TASKS = ("root", "dag", "tasks")
EXECUTORS = ("deploymentSpec", "executors", "Baseline_executor")


def changed(tree: dict, *path: str, value: object) -> dict:
    tree = copy.deepcopy(tree)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


def refusal(spec: dict = SPEC, platform: dict = PLATFORM) -> str:
    with pytest.raises(UserError) as caught:
        checks.check_spec(spec, platform)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_right_passes() -> None:
    checks.check_spec(SPEC, PLATFORM)
    checks.check_places(load_recipe("yhls", MOUNTED, **BUCKET), IMAGE, ROOT)
    checks.check_places(load_recipe("yhls", MOUNTED, **BUCKET), f"registry/yt8m@sha256:{'0' * 64}", ROOT)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("schemaVersion",), "2.0.0", "schemaVersion must be 2.1.0. Received: 2.0.0"),
        (
            ("schemaVersions",),
            "2.1.0",
            'pipeline: Message type "ml_pipelines.PipelineSpec" has no field named',
        ),
        (("pipelineInfo", "name"), "Small_one", "the pipeline's name 'Small_one' must be lower-case"),
        ((*EXECUTORS, "container", "gpu"), 1, 'has no field named "gpu"'),
        (EXECUTORS, {"resolver": {}}, "Baseline_executor is a resolver, of which the backend runs none"),
        (
            ("root", "inputDefinitions"),
            {},
            "asks for the pipeline's parameter push_destination: there is none",
        ),
        (
            ("root", "inputDefinitions", "parameters", "push_destination"),
            {"parameterType": "STRING"},
            "parameter push_destination has no default, and a schedule gives none",
        ),
        (
            (*TASKS, "Baseline", "inputs", "parameters", "push_destination"),
            {"taskOutputParameter": {"producerTask": "A", "outputParameterKey": "b"}},
            "push_destination comes from another task's output",
        ),
        (
            (*TASKS, "Baseline", "inputs", "artifacts"),
            {"model": {"taskOutputArtifact": {"producerTask": "Gone", "outputArtifactKey": "model"}}},
            "input model comes from Gone, which is no task",
        ),
        (
            (*TASKS, "Baseline", "inputs", "artifacts"),
            {"model": {"taskOutputArtifact": {"producerTask": "Baseline", "outputArtifactKey": "model"}}},
            "input model comes from the output model of Baseline, which has none of that name; "
            "Baseline: input model comes from Baseline, for which the task does not wait",
        ),
    ],
)
def test_what_the_backend_refuses_is_refused_with_its_reason(path, value, reason) -> None:
    assert reason in refusal(changed(SPEC, *path, value=value))


@pytest.mark.parametrize("name", ["Trainer_K8", "Trainer.K8", "-Trainer", "a" * 122])
def test_task_names(name: str) -> None:
    spec = copy.deepcopy(SPEC)
    tasks = spec["root"]["dag"]["tasks"]
    tasks[name] = tasks.pop("Baseline")
    assert f"the task name {name!r} must be letters, digits and hyphens" in refusal(spec)


def test_limits_hold_at_the_byte() -> None:
    path = ("root", "inputDefinitions", "parameters", "push_destination", "defaultValue")
    rest = len('{"push_destination": ""}')
    most = changed(SPEC, *path, value="a" * (checks.MAX_PARAMETERS_BYTES - 1 - rest))
    checks.check_spec(most, PLATFORM)
    assert "take 10,000 bytes" in refusal(
        changed(SPEC, *path, value="a" * (checks.MAX_PARAMETERS_BYTES - rest))
    )
    path = (*EXECUTORS, "container", "args")
    checks.check_spec(changed(SPEC, *path, value=["a" * checks.MAX_ARGUMENT_BYTES]), PLATFORM)
    assert "takes about 131,073 bytes" in refusal(
        changed(SPEC, *path, value=["a" * (checks.MAX_ARGUMENT_BYTES + 1)])
    )
    tall = changed(SPEC, *path, value=["a" * 1000] * 1000)
    assert "the pipeline takes 1," in refusal(tall)


def test_platform_document() -> None:
    executors = ("platforms", "kubernetes", "deploymentSpec", "executors")
    wrong = changed(PLATFORM, *executors, "Baseline_executor", "gpu", value=1)
    assert 'platform, Baseline_executor: Message type "kfp_kubernetes' in refusal(platform=wrong)
    stranger = platform_document(["Baseline", "Other"], {}, {})
    assert "speaks of Other_executor, which the pipeline does not have" in refusal(platform=stranger)


def test_many_reasons_are_counted_and_five_told(tmp_path) -> None:
    """And the file is named: `submit` and `rehearse` may be given several in a row."""
    from pipeline.kubeflow.package import read_package
    from tests.pipeline import compiled_file

    executors = {f"Other{number}_executor": {} for number in range(7)}
    spec, _ = compiled_file.documents()
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    file = compiled_file.write(tmp_path / "many.yaml", spec, platform)
    with pytest.raises(UserError) as raised:
        read_package(str(file))
    text = str(raised.value)
    assert text.startswith(f"{file}: Kubeflow Pipelines would not take this pipeline: ")
    assert text.count("which the pipeline does not have") == 5
    assert text.endswith("; and 2 more")


@pytest.mark.parametrize(
    ("overrides", "image", "root", "reason"),
    [
        (MOUNTED, IMAGE, "file:///root", "is no place in a bucket: "),
        (MOUNTED, IMAGE, "gs://bucket", "is no place in a bucket: "),
        (MOUNTED, "registry:5000/yt8m", ROOT, "with its tag or digest"),
        (MOUNTED, "yt8m:a b", ROOT, "with its tag or digest"),
        (["push.directory=models"], IMAGE, ROOT, "push.directory: models is a path that a pod does not have"),
        (MOUNTED[:1], IMAGE, ROOT, "push.directory: models/yhls/yt8m is a path that a pod does not have "
                                    "(mounted are /models)"),
        ([*MOUNTED, "data.train=[/data/x]"], IMAGE, ROOT, "data.train: /data/x is a path that a pod does not"),
        ([*MOUNTED, "data.vocabulary=/v.csv"], IMAGE, ROOT, "data.vocabulary: /v.csv is a path that a pod does not"),
        ([*MOUNTED, "data.validate=[/models-2/x]"], IMAGE, ROOT, "data.validate: /models-2/x is a path that"),
    ],
)  # fmt: skip
def test_places_that_pods_do_not_reach(overrides: list[str], image: str, root: str, reason: str) -> None:
    data = {
        key: patterns
        for key, patterns in BUCKET.items()
        if not any(override.startswith(f"data.{key}=") for override in overrides)
    }
    with pytest.raises(UserError) as caught:
        checks.check_places(load_recipe("yhls", overrides, **data), image, root)
    assert reason in str(caught.value)


@pytest.mark.parametrize("overrides", [["push.directory=gs://bkt/m"], MOUNTED])
def test_models_go_to_a_bucket_or_a_volume(overrides: list[str]) -> None:
    checks.check_places(load_recipe("yhls", overrides, **BUCKET), IMAGE, ROOT)


def test_k80_needs_an_image_of_its_own() -> None:
    recipe = load_recipe("yhls", ["kubernetes.trainer_pool=k80"])
    with pytest.raises(UserError) as caught:
        checks.check_gpus(recipe)
    assert str(caught.value) == (
        "kubernetes: the GPUs of pool k80 (Trainer-K24-H1440) have compute capability 3.7, and the image's "
        "TensorFlow has kernels from 6 on, as TensorFlow 2.21's wheels do. It needs an image with TensorFlow built "
        "from source for 3.7 on CUDA 11 (CUDA 12 cannot); if --image is one, say "
        "kubernetes.image_compute_capability=3.7; otherwise take another pool"
    )
    checks.check_gpus(
        load_recipe("yhls", ["kubernetes.trainer_pool=k80", "kubernetes.image_compute_capability=3.7"])
    )
    checks.check_gpus(load_recipe("yhls", ["kubernetes.trainer_pool=t4"]))


def test_installed_files_are_found_where_they_are_read() -> None:
    text = installed_file("components.example_gen.schema", "schema.pbtxt")
    assert text == "installed:components.example_gen.schema/schema.pbtxt"
    with open(resolve_installed(text), encoding="utf-8") as file:
        assert 'name: "num_frames"' in file.read()
    assert resolve_installed(3) == 3
    assert resolve_installed("gs://bkt/file") == "gs://bkt/file"
