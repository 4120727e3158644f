import re

import pytest

from pipeline.kubeflow.sizing import (
    GIB,
    Resources,
    host_bytes,
    loaded_bytes,
    rounding_bytes,
    step_resources,
    training_bytes,
)
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.pools import PoolSection, make_pool, pool_profiles
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig

SMALL, LARGE = ModelSpec.parse("K8-H64"), ModelSpec.parse("K24-H1440")


def test_profiles() -> None:
    assert {name: profile.compute_capability for name, profile in pool_profiles().items()} == {
        "k80": 3.7, "p100": 6.0, "t4": 7.5, "v100": 7.0, "l4": 8.9, "a100": 8.0, "1080ti": 6.1,
    }  # fmt: skip
    for name, profile in pool_profiles().items():
        assert profile.labels or name == "1080ti"


def test_a_pool_is_a_profile_with_changes() -> None:
    own = {"big": PoolSection(profile="a100", gpus=2, spot=True, memory_gb=160)}
    pool = make_pool("big", own)
    profile = pool_profiles()["a100"]
    assert (pool.name, pool.gpus, pool.spot) == ("big", 2, True)
    assert pool.profile == profile.model_copy(update={"memory_gb": 160})
    assert make_pool("a100", own).profile == profile


@pytest.mark.parametrize(
    ("name", "own", "reason"),
    [
        ("t5", {}, "there is no pool t5, did you mean t4?"),
        ("x", {"x": PoolSection(profile="v10")}, "pools.x.profile: there is no profile v10, did you mean"),
        ("1080ti", {}, "no label leads to its nodes"),
        ("x", {"x": PoolSection(profile="1080ti", labels={"a": "b"}, spot=True)}, "cannot be had as spot"),
        (
            "x",
            {"x": PoolSection(profile="1080ti", labels={"a": "b"}, flex_start=True)},
            "is not one of GKE's",
        ),
        ("x", {"x": PoolSection(profile="t4", spot=True, flex_start=True)}, "spot or flex_start, not both"),
    ],
)
def test_pools_that_are_none(name: str, own: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        make_pool(name, own)


def test_recipe_maps_variants_to_pools() -> None:
    recipe = load_recipe(
        "yhls",
        [
            "kubernetes.trainer_pool=cheap",
            "kubernetes.variant_pools.K24-H1440=v100",
            "kubernetes.pools.cheap={profile: t4, spot: true}",
        ],
    )
    found = {str(variant): recipe.kubernetes.pool_of(variant) for variant in recipe.variants}
    assert {name: (pool.name, pool.spot) for name, pool in found.items()} == {
        "K24-H1440": ("v100", False),
        "K32-H1024": ("cheap", True),
        "K16-H800": ("cheap", True),
        "K32-H512": ("cheap", True),
    }


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("trainer_pool=t5", "there is no pool t5"),
        ("variant_pools.K8-H8=t4", "kubernetes.variant_pools.K8-H8: is not among the variants"),
        ("queue=Not_A_Name", "queue"),
        ("volumes.models=models", "'models' is no absolute path"),
        ("volumes.models=/", "'/' is no absolute path below the root"),
        ("pools.x={profile: t4, gpu: 2}", "kubernetes.pools.x.gpu: unknown key, did you mean gpus?"),
    ],
)
def test_recipe_refuses(override: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("yhls", [f"kubernetes.{override}"])
    assert reason in str(caught.value)
    assert "Received: {" not in str(caught.value), "a section is not printed as Python has it"


def test_device_memory_is_weights_gradients_slots_and_batch() -> None:
    training = TrainingConfig()
    weights = LARGE.float32_bytes
    # A batch of nothing but its smallest: what is left is five copies of the weights.
    one = training_bytes(LARGE, training.model_copy(update={"batch_size": 1, "frames_per_video": 1}))
    assert 5 * weights < one < 5 * weights + 2**20 * 2
    # Frames are the batch: input, normalised, two gradients, of 1152 float32 values each, and the clusters'.
    more = training_bytes(LARGE, training.model_copy(update={"batch_size": 1, "frames_per_video": 101}))
    assert more - one == 100 * 4 * (4 * 1152 + 6 * (24 + 12))
    by_two = training.model_copy(update={"input_processes": 2})
    assert 0.5e9 < host_bytes(SMALL, by_two) - host_bytes(SMALL, training) < 1.5e9, (
        "two programs, and their batches"
    )
    assert host_bytes(LARGE, training) - host_bytes(SMALL, training) == 4 * (weights - SMALL.float32_bytes)


def test_every_variant_of_the_paper_fits_the_pool_of_its_time() -> None:
    for spec in map(ModelSpec, load_recipe("grid28").variants):
        assert training_bytes(spec, TrainingConfig()) + 1.5 * GIB < pool_profiles()["1080ti"].gpu_gib * GIB


def test_every_family_fits_its_pool_and_asks_for_what_it_holds() -> None:
    recipe = load_recipe("families")
    found = step_resources(recipe)
    for variant in recipe.variants:
        assert found[f"Trainer-{variant}"].gpus == 1
        training, spec = recipe.training_of(variant), recipe.spec_of(variant)
        weights = 5 * spec.float32_bytes
        one = spec.architecture.training_bytes(1, training.frames_per_video, spec.num_classes) - weights
        assert training_bytes(spec, training) == weights + training.batch_size * one
    # Attention is the square of the frames.
    spec = ModelSpec.parse("Transformer-L2-H1152")
    activations = spec.architecture.activations
    assert activations(300, 3862) - 2 * activations(150, 3862) > 2 * 4 * 12 * (300**2 - 2 * 150**2) - 10**6


def test_what_steps_ask_for() -> None:
    overrides = ["kubernetes.trainer_pool=t4", "kubernetes.variant_pools.K24-H1440=a100"]
    found = step_resources(load_recipe("yhls", overrides))
    small = Resources(cpus=1, memory_gb=3)
    assert found == {
        "YouTube8MExampleGen": Resources(cpus=3, memory_gb=12),
        "StatisticsGen": Resources(cpus=3, memory_gb=12),
        "ImportSchemaGen": small,
        "ExampleValidator": small,
        "Trainer-K24-H1440": Resources(cpus=11, memory_gb=9, gpus=1, gpu_resource="nvidia.com/gpu"),
        "Trainer-K32-H1024": Resources(cpus=7, memory_gb=8, gpus=1, gpu_resource="nvidia.com/gpu"),
        "Trainer-K16-H800": Resources(cpus=7, memory_gb=8, gpus=1, gpu_resource="nvidia.com/gpu"),
        "Trainer-K32-H512": Resources(cpus=7, memory_gb=7, gpus=1, gpu_resource="nvidia.com/gpu"),
        **{
            f"{step}-{variant}": Resources(cpus=4, memory_gb=memory)
            for step in ("CheckpointAverager", "Fp16Compressor")
            for variant, memory in {"K24-H1440": 6, "K32-H1024": 6, "K16-H800": 5, "K32-H512": 5}.items()
        },
        "EnsembleAssembler": Resources(cpus=4, memory_gb=8),
        "Baseline": small,
        "DriftCheck": small,
        "Evaluator": Resources(cpus=3, memory_gb=25),
        "ModelServerValidator": Resources(cpus=4, memory_gb=8),
        "Pusher": small,
        "RunReport": small,
    }


def test_a_file_for_devices_takes_memory_and_has_a_largest_size() -> None:
    found = step_resources(load_recipe("yhls", ["push.litert=true", "ensemble.limit_mib=512"]))
    assert found["Pusher"] == Resources(cpus=2, memory_gb=13)  # 9 times 1 GiB, and the program
    with pytest.raises(
        UserError, match=r"push.litert: .* can be made of 1,984; set ensemble.limit_mib to 1002 or less"
    ):
        load_recipe("table1", ["push.litert=true"])


def test_with_a_remote_engine_the_beam_steps_only_wait() -> None:
    found = step_resources(load_recipe("yhls", ["beam={runner: FlinkRunner, flink_master: 'flink:8081'}"]))
    assert {found[step] for step in ("YouTube8MExampleGen", "StatisticsGen", "Evaluator")} == {
        Resources(cpus=1, memory_gb=3)
    }


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.batch_size=2000", "has 14 GiB on a GPU, and Trainer-K24-H1440 takes"),
        ("training.shuffle_buffer=100000", "has 25 GB of main memory, and Trainer-K24-H1440 takes"),
    ],
)
def test_a_pool_that_is_too_small_is_refused_with_both_sizes(override: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        step_resources(load_recipe("yhls", ["kubernetes.trainer_pool=t4", override]))
    assert reason in str(caught.value)


def test_steps_of_a_ladder_hold_what_small_forms_become_in_memory() -> None:
    plain = step_resources(load_recipe("table1"))
    compact = load_recipe("table1-compact")
    found = step_resources(compact)
    float32 = sum(compact.spec_of(variant).float32_bytes for variant in compact.variants)
    assert loaded_bytes(compact) == compact.ensemble.limit_bytes + float32  # all 18 fit into the limit
    assert found["ModelServerValidator"].memory_gb * 1e9 > 2 * float32
    assert plain["ModelServerValidator"].memory_gb * 1e9 < float32 * 1.2  # float16 only doubles
    assert "Fp16Compressor-K8-H512" not in found
    assert found["Compressor-K8-H512"].memory_gb > plain["Fp16Compressor-K8-H512"].memory_gb


def test_what_a_compressor_rounds_by_takes_4_kib_for_each_row_of_a_tall_kernel_three_times() -> None:
    tall, taller = (rounding_bytes(ModelSpec.parse(name)) for name in ("K8-H800", "K100-H800"))
    assert taller - tall == 3 * 4096 * (107 * 1024 - 9 * 1024)


def test_a_queue_without_anybody_to_wait_in_it() -> None:
    with pytest.raises(UserError, match=re.escape("queue: no Trainer would wait in yt8m")):
        load_recipe("demo", ["kubernetes.queue=yt8m"])
