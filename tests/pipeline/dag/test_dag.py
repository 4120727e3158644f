import json
import re
from pathlib import Path

import pytest

from pipeline.dag.graph import depth_first
from pipeline.recipe.loader import load_recipe

pytestmark = pytest.mark.slow

ID = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


@pytest.fixture(scope="module")
def nodes():
    """The compiled nodes of the recipe yhls, by id."""
    return compiled("yhls")


def compiled(name: str, *overrides: str):
    from tfx.dsl.compiler.compiler import Compiler

    from pipeline.dag.build import build_pipeline

    pipeline = build_pipeline(
        load_recipe(name, overrides), pipeline_root="gs://bucket/root", work_root="work"
    )
    return {
        node.pipeline_node.node_info.id: node.pipeline_node for node in Compiler().compile(pipeline).nodes
    }


def producers(node) -> dict[str, set[str]]:
    """Input key: ids of the nodes it comes from."""
    return {
        key: {channel.producer_node_query.id for channel in spec.channels}
        for key, spec in node.inputs.inputs.items()
    }


def per_variant(step: str) -> set[str]:
    return {f"{step}-{name}" for name in ("K24-H1440", "K32-H1024", "K16-H800", "K32-H512")}


def test_nodes_are_those_of_the_design(nodes) -> None:
    assert set(nodes) == {
        "YouTube8MExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator",
        *per_variant("Trainer"), *per_variant("CheckpointAverager"), *per_variant("Fp16Compressor"),
        "EnsembleAssembler", "Baseline", "DriftCheck", "Evaluator", "ModelServerValidator", "Pusher", "RunReport",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["demo", "grid28"])
def test_ids_are_what_kubeflow_takes(name: str) -> None:
    ids = compiled(name)
    assert all(ID.fullmatch(node) and len(node) <= 121 for node in ids)
    assert len(ids) == 11 + 3 * len(load_recipe(name).variants)


def test_wiring_of_one_variant(nodes) -> None:
    examples = {"YouTube8MExampleGen"}
    assert producers(nodes["Trainer-K16-H800"]) == {"examples": examples}
    assert set(nodes["Trainer-K16-H800"].upstream_nodes) == {"YouTube8MExampleGen", "ExampleValidator"}
    assert producers(nodes["CheckpointAverager-K16-H800"]) == {
        "model_run": {"Trainer-K16-H800"},
        "examples": examples,
    }
    assert producers(nodes["Fp16Compressor-K16-H800"]) == {
        "float32_model": {"CheckpointAverager-K16-H800"},
        "examples": examples,
        "spent_run": {"Trainer-K16-H800"},
    }


def test_wiring_of_what_is_there_once(nodes) -> None:
    examples, ensemble = {"YouTube8MExampleGen"}, {"EnsembleAssembler"}
    assert producers(nodes["StatisticsGen"]) == {"examples": examples}
    (channel,) = nodes["StatisticsGen"].inputs.inputs["examples"].channels
    assert channel.output_key == "summaries"
    assert producers(nodes["EnsembleAssembler"]) == {
        "examples": examples,
        "model_000": {"Fp16Compressor-K24-H1440"},
        "model_001": {"Fp16Compressor-K32-H1024"},
        "model_002": {"Fp16Compressor-K16-H800"},
        "model_003": {"Fp16Compressor-K32-H512"},
    }
    assert producers(nodes["Evaluator"]) == {
        "examples": examples,
        "model": ensemble,
        "baseline_model": {"Baseline"},
    }
    assert producers(nodes["ModelServerValidator"]) == {"examples": examples, "model": ensemble}
    assert producers(nodes["Pusher"]) == {
        "model": ensemble,
        "model_blessing": {"Evaluator"},
        "infra_blessing": {"ModelServerValidator"},
        "evaluation": {"Evaluator"},
        "data": examples,
        "ensemble": ensemble,
    }
    assert producers(nodes["DriftCheck"]) == {"data": examples, "baseline": {"Baseline"}}
    assert nodes["DriftCheck"].inputs.inputs["baseline"].min_count == 0


def test_the_pusher_checks_a_file_for_devices_where_the_recipe_wants_one() -> None:
    pusher = compiled(
        "yhls",
        "push.litert=true",
        "ensemble.limit_mib=900",
        "push.litert_weights=int4",
        "data.holdout_files=2",
    )["Pusher"]
    assert producers(pusher)["examples"] == {"YouTube8MExampleGen"}
    values = {key: value.field_value.string_value for key, value in pusher.parameters.parameters.items()}
    assert (values["litert_weights"], values["split"]) == ("int4", "holdout")
    assert "litert_weights" not in compiled("yhls")["Pusher"].parameters.parameters


def test_a_ladder_takes_the_place_of_float16() -> None:
    ladder = ["float16", "int4-b128+gating_prob/weights=lowrank-r256-int8"]
    nodes = compiled(
        "yhls", f"compression.ladder=[{', '.join(ladder)}]", "compression.calibration_videos=500"
    )
    assert not any(name.startswith("Fp16Compressor") for name in nodes)
    compressor = nodes["Compressor-K16-H800"]
    assert producers(compressor) == {
        "float32_model": {"CheckpointAverager-K16-H800"},
        "examples": {"YouTube8MExampleGen"},
        "spent_run": {"Trainer-K16-H800"},
    }
    values = {key: value.field_value for key, value in compressor.parameters.parameters.items()}
    assert values["ladder"].string_value.split(",") == ladder
    assert values["calibration_videos"].int_value == 500
    assert producers(nodes["EnsembleAssembler"])["model_002"] == {"Compressor-K16-H800"}
    assert {f"Compressor-{name}" for name in ("K24-H1440", "K32-H512")} <= set(
        nodes["RunReport"].upstream_nodes
    )


@pytest.mark.parametrize("halving", [False, True])
def test_where_drift_stops_nothing_is_trained_before_it_is_measured(halving: bool) -> None:
    first = "FirstHalf" if halving else "Trainer"
    for stop in (False, True):
        nodes = compiled("demo", f"drift.stop={stop}".lower(), f"halving.enabled={halving}".lower())
        waits = {
            "DriftCheck" in node.upstream_nodes for name, node in nodes.items() if name.startswith(first)
        }
        assert waits == {stop}


@pytest.mark.parametrize(
    ("spans", "judged", "window"),
    [
        ("newest", "newest", None),
        ("last-3", "newest", {"num_spans": 3}),
        ("newest", "last-4", {"num_spans": 4}),
        ("since-7", "since-5", {"start_span_number": 5, "num_spans": 2**31 - 1}),
    ],
)
def test_windows_of_spans_are_tfx_s_rolling_ranges(
    spans: str, judged: str, window: dict[str, int] | None
) -> None:
    from pipeline.dag.build import build_components

    recipe = load_recipe(
        "demo",
        ['data.validate=["d/{SPAN}/*"]', "data.train=[]", f"data.spans={spans}", f"blessing.spans={judged}"],
    )
    found = build_components(recipe)[0].spec.exec_properties.get("range_config")
    assert (found and json.loads(found)) == (window and {"rolling_range": window})


def test_evaluator_runs_without_a_baseline(nodes) -> None:
    inputs = nodes["Evaluator"].inputs.inputs
    assert inputs["baseline_model"].min_count == 0
    assert inputs["examples"].min_count == 1


def test_report_hears_of_everything(nodes) -> None:
    assert set(nodes["RunReport"].upstream_nodes) == {
        "YouTube8MExampleGen",
        "StatisticsGen",
        "ExampleValidator",
        "DriftCheck",
        *per_variant("Trainer"),
        *per_variant("CheckpointAverager"),
        *per_variant("Fp16Compressor"),
        "EnsembleAssembler",
        "Evaluator",
        "ModelServerValidator",
        "Pusher",
    }


def test_report_gets_the_graph_without_what_follows_from_it(nodes) -> None:
    graph = json.loads(nodes["RunReport"].parameters.parameters["graph"].field_value.string_value)
    assert list(graph)[-1] == "RunReport"
    assert set(graph) == set(nodes)
    assert graph["Trainer-K24-H1440"] == ["ExampleValidator"]
    assert graph["CheckpointAverager-K24-H1440"] == ["Trainer-K24-H1440"]
    assert graph["EnsembleAssembler"] == sorted(per_variant("Fp16Compressor"))
    assert (graph["Pusher"], graph["RunReport"]) == (
        ["Evaluator", "ModelServerValidator"],
        ["DriftCheck", "Pusher"],
    )


def test_what_is_served_is_looked_up_in_every_run(nodes) -> None:
    for node in ("Baseline", "Pusher"):
        value = nodes[node].parameters.parameters["run_id"]
        assert value.runtime_parameter.name == "pipeline-run-id"
    assert all(node.execution_options.caching_options.enable_cache for node in nodes.values())


def test_training_settings_reach_each_trainer(nodes) -> None:
    parameters = nodes["Trainer-K24-H1440"].parameters.parameters
    config = parameters["custom_config"].field_value.string_value
    assert '"variant": "K24-H1440"' in config
    assert '"learning_rate": 0.0001' in config
    assert '"work_dir": "work/Trainer-K24-H1440"' in config
    assert parameters["run_fn"].field_value.string_value == "components.trainer.run_fn.run_fn"


def custom_config(nodes, node: str) -> dict:
    return json.loads(nodes[node].parameters.parameters["custom_config"].field_value.string_value)


def test_what_a_trainer_is_told_of_snapshots_and_of_its_start(nodes) -> None:
    """What is not said is not in the configuration: TFX's cache goes by it, and by what earlier versions said."""
    plain = custom_config(nodes, "Trainer-K16-H800")
    assert plain.keys() == {"variant", "training", "work_dir"}
    assert (
        not {"keep_snapshots", "start", "warm_steps", "warm_shrink", "input_processes"}
        & plain["training"].keys()
    )
    ranges = ["averaging.automatic=false", "averaging.fractions=[[0.5, 1.0]]", "averaging.batch_size=7"]
    assert custom_config(compiled("yhls", *ranges), "Trainer-K16-H800")["averaging"] == {
        "single_every": 5, "automatic": False, "fractions": [[0.5, 1.0]], "steps": [],
    }  # fmt: skip
    kept = compiled("yhls", *ranges, "training.keep_snapshots=true", "training.start=previous")
    config = custom_config(kept, "Trainer-K16-H800")
    assert "averaging" not in config
    assert config["training"]["keep_snapshots"] is True
    assert (config["start_from"], config["training"]["start"]) == ("models/yhls/yt8m", "previous")
    assert "spent_run" not in producers(kept["Fp16Compressor-K16-H800"])


def test_on_one_machine_a_variant_is_stored_before_the_next_one_is_trained(nodes) -> None:
    """So that the snapshots of one variant at a time are on the disk."""
    order = depth_first({name: node.upstream_nodes for name, node in nodes.items()})
    assert sorted(order) == sorted(nodes)
    assert all(
        order.index(before) < order.index(name) for name in order for before in nodes[name].upstream_nodes
    )
    lines = [name for name in order if name.startswith(("Trainer", "CheckpointAverager", "Fp16Compressor"))]
    assert [name.partition("-")[0] for name in lines] == [
        "Trainer",
        "CheckpointAverager",
        "Fp16Compressor",
    ] * 4
    assert len({name.partition("-")[2] for name in lines[:3]}) == 1


def test_with_the_stop_rule_both_halves_are_spent() -> None:
    halved = compiled("yhls", "halving.enabled=true", "averaging.automatic=false")
    spent = producers(halved["Fp16Compressor-K16-H800"])
    assert (spent["spent_run"], spent["spent_first_half"]) == ({"Trainer-K16-H800"}, {"FirstHalf-K16-H800"})
    assert "averaging" not in custom_config(halved, "FirstHalf-K16-H800")


def test_exec_properties_are_small() -> None:
    for node in compiled("grid28").values():
        assert sum(len(str(value)) for value in node.parameters.parameters.values()) < 10_000


def test_there_is_no_resolver(nodes) -> None:
    assert not [node for node in nodes.values() if "resolver" in node.node_info.type.name.lower()]


def test_the_ensemble_gets_the_vocabulary_when_the_recipe_has_one(nodes) -> None:
    assert "vocabulary" not in nodes["EnsembleAssembler"].parameters.parameters
    named = compiled("demo", "data.vocabulary=/data/vocabulary.csv")["EnsembleAssembler"]
    value = named.parameters.parameters["vocabulary"].field_value.string_value
    assert value == "/data/vocabulary.csv"


def test_other_names_in_the_same_file_make_a_new_ensemble(tmp_path: Path) -> None:
    names = tmp_path / "vocabulary.csv"
    seen = set()
    for text in ("0,Game", "0,Games", "0,Game"):
        names.write_text(text)
        node = compiled("demo", f"data.vocabulary={names}")["EnsembleAssembler"]
        seen.add(node.parameters.parameters["vocabulary_crc32"].field_value.int_value)
    assert len(seen) == 2


def test_the_holdout_judges_where_there_is_one_and_nothing_else_changes(nodes) -> None:
    def parameters(node) -> dict[str, object]:
        return {
            key: value.field_value.string_value or value.field_value.int_value
            for key, value in node.parameters.parameters.items()
        }

    assert parameters(nodes["Evaluator"])["example_splits"] == '["eval"]'
    assert "holdout_files" not in parameters(nodes["YouTube8MExampleGen"]), (
        "or nothing would come from older caches"
    )
    held = compiled("yhls", "data.holdout_files=30")
    assert parameters(held["Evaluator"])["example_splits"] == '["holdout"]'
    assert parameters(held["YouTube8MExampleGen"])["holdout_files"] == 30
    named = compiled("yhls", "data.holdout_files=yt8m/frame/test*.tfrecord")
    assert "holdout_files" not in parameters(named["YouTube8MExampleGen"])
    assert '"name": "holdout-0"' in parameters(named["YouTube8MExampleGen"])["input_config"]
    for node in nodes.keys() - {"Evaluator", "YouTube8MExampleGen", "RunReport"}:
        assert parameters(held[node]) == parameters(nodes[node]), node


def test_real_records_have_a_holdout() -> None:
    assert load_recipe("video-level").data.judging_split == "holdout"
    assert load_recipe("yhls").data.judging_split == "eval"
