"""Which Trainer waits for which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dag.trainer_order import training_work, waits_for
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.loader import load_recipe

WORK = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(0.1, 100), min_size=1, max_size=12)


def test_the_least_work_comes_first_and_each_goes_where_it_can_start_first() -> None:
    work = {"a": 1.0, "b": 2.0, "c": 2.0, "d": 10.0, "e": 11.0}
    assert waits_for(work, 1) == {"a": None, "b": "a", "c": "b", "d": "c", "e": "d"}
    # a and c, together 3, are done after b.
    assert waits_for(work, 2) == {"a": None, "b": None, "c": "a", "d": "b", "e": "c"}
    assert waits_for(work, 9) == waits_for(work, None) == dict.fromkeys(work)


@given(WORK, st.integers(1, 5))
def test_no_more_run_at_once_than_asked(work: dict[str, float], at_once: int) -> None:
    waits = waits_for(work, at_once)
    assert waits.keys() == work.keys()
    started = [*waits]
    assert [work[name] for name in started] == sorted(work.values())
    # Each is waited for by one at most, so there are as many chains as Trainers that wait for none.
    before = [other for other in waits.values() if other is not None]
    assert len(before) == len({*before})
    assert len(waits) - len(before) == min(at_once, len(work))
    assert all(
        started.index(other) < started.index(name) for name, other in waits.items() if other is not None
    )


@given(WORK, st.integers(1, 5), st.randoms())
def test_the_order_of_the_recipe_does_not_matter(work: dict[str, float], at_once: int, random) -> None:
    shuffled = [*work.items()]
    random.shuffle(shuffled)
    assert [*waits_for(dict(shuffled), at_once).items()] == [*waits_for(work, at_once).items()]


def test_work_counts_weights_steps_and_batches() -> None:
    plain = training_work(load_recipe("yhls"))
    assert min(plain, key=plain.get) == "K32-H512"
    overrides = ["training_overrides.K24-H1440.steps=1000", "training_overrides.K32-H512.batch_size=160"]
    changed = training_work(load_recipe("yhls", overrides))
    assert changed["K32-H512"] == 2 * plain["K32-H512"]
    assert min(changed, key=changed.get) == "K24-H1440"


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_values_that_are_no_number_of_trainers(value: str) -> None:
    from trainer.base.errors import UserError

    with pytest.raises(UserError, match=r"kubernetes\.max_parallel_trainers"):
        load_recipe("yhls", [f"kubernetes.max_parallel_trainers={value}"])


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2])
def test_compiled_trainers_wait_for_each_other(at_once: int) -> None:
    from pipeline.kubeflow.compile import compile_pipeline

    recipe = load_recipe(
        "yhls",
        [
            f"kubernetes.max_parallel_trainers={at_once}",
            "data.train=[gs://bkt/train*]", "data.validate=[gs://bkt/validate*]", "push.directory=gs://bkt/models",
        ],
    )  # fmt: skip
    tasks = all_tasks(compile_pipeline(recipe, "image:1", "gs://bkt/root").spec)
    trainers = {name: task for name, task in tasks.items() if name.startswith("Trainer-")}
    waits = {
        name.removeprefix("Trainer-"): {
            other.removeprefix("Trainer-") for other in task["dependentTasks"] if other in trainers
        }
        for name, task in trainers.items()
    }
    assert waits == {
        name: {before} - {None} for name, before in waits_for(training_work(recipe), at_once).items()
    }
    # No data flow along the chain: the cache's key, which has the inputs, is that of Trainers all at once.
    assert {next(iter(task["inputs"]["artifacts"])) for task in trainers.values()} == {"examples"}
    # The assembler and the report take the models in the recipe's order.
    models = tasks["EnsembleAssembler"]["inputs"]["artifacts"]
    producers = [models[f"model_{index:03d}"]["taskOutputArtifact"]["producerTask"] for index in range(4)]
    assert producers == [f"Fp16Compressor-{variant}" for variant in recipe.variants]


@pytest.mark.slow
def test_the_stop_rule_compiles_to_two_halves_and_a_judge() -> None:
    from pipeline.kubeflow.compile import compile_pipeline

    recipe = load_recipe(
        "yhls",
        [
            "halving.enabled=true", "halving.lead=0.002", "kubernetes.max_parallel_trainers=1",
            "kubernetes.trainer_pool=t4", "data.train=[gs://bkt/train*]", "data.validate=[gs://bkt/validate*]",
            "push.directory=gs://bkt/models",
        ],
    )  # fmt: skip
    made = compile_pipeline(recipe, "image:1", "gs://bkt/root")
    tasks = all_tasks(made.spec)
    executors = made.spec["deploymentSpec"]["executors"]
    variants = [*map(str, recipe.variants)]
    order = [*waits_for(training_work(recipe), 1)]
    for half, before in (("FirstHalf", "ExampleValidator"), ("Trainer", "HalfTime")):
        for number, variant in enumerate(order):
            task = tasks[f"{half}-{variant}"]
            waits = {*task["dependentTasks"]}
            assert before in waits
            others = {name for name in waits if name.startswith(f"{half}-")}
            assert others == ({f"{half}-{order[number - 1]}"} if number else set())
            assert task["retryPolicy"]["maxRetryCount"] == 5
            container = executors[f"{half}-{variant}_executor"]["container"]
            assert container["resources"]["accelerator"] == {"type": "nvidia.com/gpu", "count": "1"}
            settings = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
            assert "nodeSelector" in settings[f"{half}-{variant}_executor"]
    judged = [one for _, one in sorted(tasks["HalfTime"]["inputs"]["artifacts"].items())]
    assert [one["taskOutputArtifact"]["producerTask"] for one in judged] == [
        f"FirstHalf-{v}" for v in variants
    ]
    assert tasks["HalfTime"]["inputs"]["parameters"]["lead"] == {"runtimeValue": {"constant": 0.002}}
    assert "HalfTime" in {
        one["taskOutputArtifact"]["producerTask"]
        for one in tasks["RunReport"]["inputs"]["artifacts"].values()
    }
    for variant in variants:
        averaged = tasks[f"CheckpointAverager-{variant}"]["inputs"]["artifacts"]["model_run"]
        assert averaged["taskOutputArtifact"]["producerTask"] == f"Trainer-{variant}"
