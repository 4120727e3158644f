import json
from importlib import metadata

import pytest
import yaml

from pipeline.kubeflow.change_check import CHECK, RECORD
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.loader import load_recipe

pytestmark = pytest.mark.slow

IMAGE, ROOT = "registry/yt8m:1.0", "gs://bucket/root"
DATA = {"train": ["gs://data/frame/train*"], "validate": ["gs://data/frame/validate*"]}
PLACES = ["kubernetes.volumes.models=/models", "push.directory=/models/yt8m"]
VARIANTS = ("K24-H1440", "K16-H256")
POOLS = ["kubernetes.trainer_pool=t4", "kubernetes.variant_pools.K24-H1440=v100"]
DIRECT = [
    "--runner=DirectRunner",
    "--direct_num_workers=3",
    "--direct_running_mode=multi_processing",
    "--sdk_container_image=this-installation",
]


def compiled(recipe: str, *overrides: str):
    from pipeline.kubeflow.compile import compile_pipeline

    return compile_pipeline(load_recipe(recipe, [*PLACES, *overrides], **DATA), IMAGE, ROOT)


@pytest.fixture(scope="module")
def pair():
    """A recipe of two variants."""
    return compiled("yhls", f"variants=[{', '.join(VARIANTS)}]", *POOLS)


def tasks(made) -> dict[str, dict]:
    """All but the two that look whether anything is new, and remember the run."""
    return {name: task for name, task in all_tasks(made.spec).items() if name not in (CHECK, RECORD)}


def beam_arguments(made) -> dict[str, list[str]]:
    from pipeline.kubeflow.spec_edits import container

    return {name: container(made.spec, name)["args"][8:] for name in tasks(made)}


def each(step: str) -> list[str]:
    return [f"{step}-{variant}" for variant in VARIANTS]


def test_head_and_parameters(pair) -> None:
    rest = ("components", "deploymentSpec")
    head = {key: value for key, value in pair.spec.items() if key not in rest}
    head["root"] = {key: value for key, value in head["root"].items() if key != "dag"}
    assert head == {
        "pipelineInfo": {"name": "yhls"},
        "schemaVersion": "2.1.0",
        "sdkVersion": f"tfx-{metadata.version('tfx')}",
        "defaultPipelineRoot": "gs://bucket/root",
        "root": {
            "inputDefinitions": {
                "parameters": {
                    "force": {"parameterType": "BOOLEAN", "defaultValue": False},
                    "limit_bytes": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1024.0 * 2**20},
                    "max_reject_share": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.01},
                    "push_destination": {"parameterType": "STRING", "defaultValue": "/models/yt8m"},
                }
            }
        },
    }


def test_order_is_that_of_the_local_run(pair) -> None:
    averagers, compressors = each("CheckpointAverager"), each("Fp16Compressor")
    assert {name: task.get("dependentTasks", []) for name, task in tasks(pair).items()} == {
        "YouTube8MExampleGen": [],
        "StatisticsGen": ["YouTube8MExampleGen"],
        "ImportSchemaGen": [],
        "ExampleValidator": ["ImportSchemaGen", "StatisticsGen"],
        **{trainer: ["ExampleValidator", "YouTube8MExampleGen"] for trainer in each("Trainer")},
        **{
            averager: [trainer, "YouTube8MExampleGen"]
            for averager, trainer in zip(averagers, each("Trainer"), strict=True)
        },
        **{
            compressor: [averager, trainer, "YouTube8MExampleGen"]
            for compressor, averager, trainer in zip(compressors, averagers, each("Trainer"), strict=True)
        },
        "EnsembleAssembler": [*sorted(compressors), "YouTube8MExampleGen"],
        "Baseline": [],
        "DriftCheck": ["Baseline", "YouTube8MExampleGen"],
        "Evaluator": ["Baseline", "EnsembleAssembler", "YouTube8MExampleGen"],
        "ModelServerValidator": ["EnsembleAssembler", "YouTube8MExampleGen"],
        "Pusher": ["EnsembleAssembler", "Evaluator", "ModelServerValidator", "YouTube8MExampleGen"],
        "RunReport": [
            *sorted(averagers), "DriftCheck", "EnsembleAssembler", "Evaluator", "ExampleValidator",
            *sorted(compressors), "ModelServerValidator", "Pusher", "StatisticsGen",
            *sorted(each("Trainer")), "YouTube8MExampleGen",
        ],
    }  # fmt: skip


def test_nothing_starts_before_something_is_new(pair) -> None:
    """The form is what kfp's compiler makes of dsl.If."""
    outer = pair.spec["root"]["dag"]["tasks"]
    assert set(outer) == {CHECK, "Retraining"}
    assert outer["Retraining"]["dependentTasks"] == [CHECK]
    assert outer["Retraining"]["triggerPolicy"] == {
        "condition": "inputs.parameter_values['changed'] == 'true'"
    }
    inner = pair.spec["components"]["Retraining"]["dag"]["tasks"]
    assert inner == {**tasks(pair), RECORD: inner[RECORD]}
    assert inner[RECORD]["dependentTasks"] == ["RunReport"]
    assert outer[CHECK]["cachingOptions"] == inner[RECORD]["cachingOptions"] == {}
    assert set(outer[CHECK]["inputs"]["parameters"]) == {
        "force", "image", "input_base", "input_config", "limit_bytes", "max_reject_share", "push_destination",
        "recipe", "run_id",
    }  # fmt: skip


def test_what_the_user_interface_shows(pair) -> None:
    outputs = pair.spec["components"]["RunReport"]["outputDefinitions"]["artifacts"]
    titles = {
        key: yaml.safe_load(one["artifactType"]["instanceSchema"])["title"] for key, one in outputs.items()
    }
    assert titles == {"report": "yt8m.Report", "page": "system.HTML", "metrics": "system.Metrics"}
    graph = json.loads(tasks(pair)["RunReport"]["inputs"]["parameters"]["graph"]["runtimeValue"]["constant"])
    assert set(graph) == set(tasks(pair))
    # The command line of the largest recipe stays far below what a process may be given.
    assert len(json.dumps(tasks(pair)["RunReport"])) < 20_000


def test_caching_and_retries(pair) -> None:
    never = {"YouTube8MExampleGen", "Baseline", "Pusher"}
    assert {name: task["cachingOptions"] for name, task in tasks(pair).items()} == {
        name: {} if name in never else {"enableCache": True} for name in tasks(pair)
    }

    def policy(count: int) -> dict:
        return {
            "maxRetryCount": count,
            "backoffDuration": "60s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": "2592000s",
        }

    found = {name: task["retryPolicy"] for name, task in tasks(pair).items() if "retryPolicy" in task}
    assert found == {
        **dict.fromkeys(each("Trainer"), policy(5)),
        **dict.fromkeys(("YouTube8MExampleGen", "StatisticsGen", "Evaluator"), policy(2)),
    }


def test_a_trainer(pair) -> None:
    from pipeline.kubeflow.spec_edits import container

    name = "Trainer-K24-H1440"
    task = json.loads(json.dumps(tasks(pair)[name]))
    config = json.loads(task["inputs"]["parameters"].pop("custom_config")["runtimeValue"]["constant"])
    training = load_recipe("yhls").training.model_dump(
        exclude={"keep_snapshots", "start", "warm_steps", "warm_shrink", "input_processes"}
    )
    assert config == {"variant": "K24-H1440", "training": training}
    assert task["inputs"] == {
        "artifacts": {
            "examples": {
                "taskOutputArtifact": {"producerTask": "YouTube8MExampleGen", "outputArtifactKey": "examples"}
            }
        },
        "parameters": {
            "run_fn": {"runtimeValue": {"constant": "components.trainer.run_fn.run_fn"}},
            "train_args": {
                "runtimeValue": {"constant": '{\n  "num_steps": 200000,\n  "splits": [\n    "train"\n  ]\n}'}
            },
            "eval_args": {"runtimeValue": {"constant": '{\n  "splits": [\n    "eval"\n  ]\n}'}},
        },
    }
    made = json.loads(json.dumps(container(pair.spec, name)))
    assert json.loads(made["args"].pop(7)) == {
        "artifacts": {"examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\n"}}},
        "parameters": {
            key: {"parameterType": "STRING"} for key in ("custom_config", "eval_args", "run_fn", "train_args")
        },
    }
    assert made == {
        "image": IMAGE,
        "command": ["python", "-m", "pipeline.kubeflow.entry_point"],
        "args": [
            "--component_id",
            name,
            "--executor_class_path",
            "tfx.components.trainer.executor.GenericExecutor",
            "--json_serialized_invocation_args",
            "{{$}}",
            "--json_serialized_inputs_spec_args",
        ],
        "resources": {
            "cpuLimit": 7.0,
            "cpuRequest": 7.0,
            "memoryLimit": 9.0,
            "memoryRequest": 9.0,
            "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
        },
    }


def test_every_model_has_a_key_of_its_own(pair) -> None:
    found = {
        key: value["taskOutputArtifact"]
        for key, value in tasks(pair)["EnsembleAssembler"]["inputs"]["artifacts"].items()
    }
    assert found == {
        "examples": {"producerTask": "YouTube8MExampleGen", "outputArtifactKey": "examples"},
        "model_000": {"producerTask": "Fp16Compressor-K24-H1440", "outputArtifactKey": "model"},
        "model_001": {"producerTask": "Fp16Compressor-K16-H256", "outputArtifactKey": "model"},
    }


def test_nothing_of_the_compiling_machine(pair) -> None:
    parameters = tasks(pair)["ImportSchemaGen"]["inputs"]["parameters"]
    assert parameters == {
        "schema_file": {"runtimeValue": {"constant": "installed:components.example_gen.schema/schema.pbtxt"}}
    }
    run_id = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    assert {
        tasks(pair)[name]["inputs"]["parameters"]["run_id"] == run_id for name in ("Baseline", "Pusher")
    } == {True}


def test_pools_reach_the_trainers_and_them_only(pair) -> None:
    executors = pair.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors.keys() == {f"{name}_executor" for name in all_tasks(pair.spec)}
    selectors = {
        label: settings["nodeSelector"]["labels"]["cloud.google.com/gke-accelerator"]
        for label, settings in executors.items()
        if "nodeSelector" in settings
    }
    assert selectors == {
        "Trainer-K24-H1440_executor": "nvidia-tesla-v100",
        "Trainer-K16-H256_executor": "nvidia-tesla-t4",
    }
    mount = [{"constant": "models", "mountPath": "/models"}]
    assert all(settings["pvcMount"] == mount for settings in executors.values())


def test_beam_arguments_reach_the_beam_steps_and_them_only(pair) -> None:
    engine = "beam={runner: DataflowRunner, project: p, region: r, temp_location: 'gs://bkt/tmp'}"
    dataflow = [
        "--runner=DataflowRunner",
        "--project=p",
        "--region=r",
        "--temp_location=gs://bkt/tmp",
        f"--sdk_container_image={IMAGE}",
    ]
    remote = compiled("yhls", f"variants=[{', '.join(VARIANTS)}]", engine)
    steps = ("YouTube8MExampleGen", "StatisticsGen", "Evaluator")
    for made, arguments in ((pair, DIRECT), (remote, dataflow)):
        assert beam_arguments(made) == {name: arguments if name in steps else [] for name in tasks(made)}


def test_same_bytes_twice_and_what_is_written_is_what_was_checked(pair) -> None:
    text = pair.to_yaml()
    assert text == compiled("yhls", f"variants=[{', '.join(VARIANTS)}]", *POOLS).to_yaml()
    assert list(yaml.safe_load_all(text)) == [pair.spec, pair.platform]


def test_all_28_variants_compile_well_within_the_limits() -> None:
    from pipeline.kubeflow import checks
    from pipeline.kubeflow.spec_edits import container

    made = compiled("grid28", "kubernetes.trainer_pool=t4")
    assert len(tasks(made)) == 11 + 3 * 28
    arguments = [argument for name in tasks(made) for argument in container(made.spec, name)["args"]]
    assert max(map(len, arguments)) < checks.MAX_ARGUMENT_BYTES / 4
    assert len(json.dumps([made.spec, made.platform])) < checks.MAX_PIPELINE_BYTES / 2
    constants = [
        parameter.get("runtimeValue", {}).get("constant", "")
        for task in tasks(made).values()
        for parameter in task["inputs"].get("parameters", {}).values()
    ]
    assert max(len(str(constant)) for constant in constants) < 6000


def test_spans_are_looked_up_by_each_run_and_not_when_compiling() -> None:
    from pipeline.kubeflow.compile import compile_pipeline

    data = {"train": ["gs://data/{SPAN}/train*"], "validate": ["gs://data/{SPAN}/validate*"]}
    made = compile_pipeline(load_recipe("yhls", [*PLACES, "variants=[K16-H256]"], **data), IMAGE, ROOT)
    example_gen = tasks(made)["YouTube8MExampleGen"]
    given = example_gen["inputs"]["parameters"]
    assert given["input_base"]["runtimeValue"]["constant"] == "gs://data"
    splits = json.loads(given["input_config"]["runtimeValue"]["constant"])["splits"]
    assert [split["pattern"] for split in splits] == ["{SPAN}/train*", "{SPAN}/validate*"]
    # Neither one span for ever, nor the files of the last run.
    assert "range_config" not in given
    assert example_gen["cachingOptions"] == {}
