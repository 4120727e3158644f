"""The recipes of the project, and what a recipe may hold."""

import pytest

from pipeline.recipe.errors import MOST
from pipeline.recipe.loader import load_recipe, recipe_names
from pipeline.recipe.recipe import Recipe
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from serving.export.stored_form import StoredForm
from tests.pipeline.recipe.small_recipe import small
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec


def refusal(**changes: object) -> str:
    with pytest.raises(UserError) as caught:
        small(**changes)
    return str(caught.value)


def test_there_is_a_recipe_for_each_of_the_papers_cases_and_more() -> None:
    assert {"demo", "families", "grid28", "mean-frame", "table1", "video-level", "yhls"} <= {*recipe_names()}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_of_the_project_loads_and_has_one_spelling_everywhere(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.push.directory == f"models/{name}/yt8m"
    assert load_recipe(name.replace("-", "_")) == recipe  # as it was written once
    assert len(recipe.variants) >= 2
    assert all(recipe.training_of(variant).steps > 0 for variant in recipe.variants)


def test_table1_and_grid28_hold_the_papers_variants() -> None:
    assert load_recipe("table1").variants == TABLE1
    grid = load_recipe("grid28").variants
    assert len(set(grid)) == 28
    assert grid[: len(TABLE1)] == TABLE1


def test_yhls_fits_the_papers_limit_at_the_papers_size() -> None:
    recipe = load_recipe("yhls")
    size = sum(stored_bytes(recipe.spec_of(variant), FLOAT16) for variant in recipe.variants)
    assert size <= recipe.ensemble.limit_bytes == 1024 * MIB
    assert size / MIB == pytest.approx(1019.7, abs=0.05)


def test_families_has_one_of_each_trained_in_its_own_way() -> None:
    recipe = load_recipe("families")
    assert {variant.PREFIX for variant in recipe.variants} == {
        *("K", "NeXtVLAD", "FV", "DBoF", "GRU", "LSTM", "Transformer", "MLP", "MoE", "Chain")
    }
    training = {str(variant): recipe.training_of(variant) for variant in recipe.variants}
    assert training["NeXtVLAD-G8-K112-H2048"].learning_rate == 2e-4
    assert training["GRU-L2-H1200"].learning_rate_decay == 0.9
    assert training["K24-H1440"] == load_recipe("table1").training


def test_training_defaults_of_yhls_are_the_papers() -> None:
    training = load_recipe("yhls").training
    assert (training.learning_rate, training.learning_rate_decay) == (1e-4, 0.8)
    assert training.learning_rate_decay_examples == 4_000_000
    assert training.gradient_clip_norm == 1.0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainig": {}}, "trainig: unknown key, did you mean training?"),
        (
            {"training": {"learning_rat": 1}},
            "training.learning_rat: unknown key, did you mean learning_rate?",
        ),
        ({"push": {"directory": "x", "dir": "y"}}, "push.dir: unknown key, did you mean directory?"),
        (
            {"data": {"validate": ["x"], "validat": ["y"]}},
            "data.validat: unknown key, did you mean validate?",
        ),
        (
            {"training": {"limit_mib": 900}},
            "training.limit_mib: unknown key, did you mean teacher.limit_mib or ensemble.limit_mib?",
        ),
        (
            {"steps": 5, "training_overrides": {}},
            "steps: unknown key, did you mean training.steps or averaging.steps?",
        ),
        ({"blessing": {"zzz": 1}}, "blessing.zzz: unknown key (known are gap_floor, max_gap_drop, spans)"),
        (
            {"blessing": {"zzz": 1, "yyy": 2}},
            "blessing.zzz: unknown key (known are gap_floor, max_gap_drop, spans); blessing.yyy: unknown key",
        ),
        (
            {"training_overrides": {"K4-H8": {"batchsize": 4}}},
            "training_overrides.K4-H8.batchsize: unknown key, did you mean batch_size?",
        ),
    ],
)
def test_unknown_key_is_refused_with_its_place_and_the_nearest_name(
    changes: dict[str, object], expected: str
) -> None:
    assert refusal(**changes) == f"test: {expected}"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"variants": []}, "variants: "),
        ({"variants": ["K4-H8", "K4-H8"]}, "variants: K4-H8 stands there more than once"),
        (
            {"kubernetes": {"pools": {"x": {"profile": "t4", "cpus": float("inf")}}}},
            "kubernetes.pools.x.cpus: input should be a finite number",
        ),
        ({"variants": ["K4H8"]}, "variants.0: an architecture is written like K4-H8. Received"),
        (
            {"training": {"steps": 0}},
            "training.steps: input should be greater than or equal to 1. Received: 0",
        ),
        ({"training": {"steps": True}}, "training.steps: must be a whole number. Received: True"),
        (
            {"training": {"seed": 2**63}},
            "training.seed: must be less than 2**63. Received: 9223372036854775808",
        ),
        (
            {"training_overrides": {"K4-H8": {"steps": True}}},
            "training_overrides.K4-H8.steps: must be a whole number. Received: True",
        ),
        ({"training": {"steps": 10**400}}, "training.steps: must be less than 2**63"),
        ({"blessing": {"gap_floor": False}}, "blessing.gap_floor: must be a number. Received: False"),
        ({"data": {"validate": ["x"], "holdout_files": True}}, "data.holdout_files: must be a whole number"),
        ({"training": {"learning_rate": "1e400"}}, "training.learning_rate: input should be "),
        (
            {"training": {"learning_rate": 10}},
            "training.learning_rate: input should be less than or equal to 1",
        ),
        (
            {"training": {"batch_size": 100_000_000}},
            "training.batch_size: input should be less than or equal to",
        ),
        ({"training_overrides": {"K4-H8": {"batch_size": 10**8}}}, "training_overrides.K4-H8.batch_size: "),
        ({"averaging": {"batch_size": 10**8}}, "averaging.batch_size: "),
        ({"training": {"l2_penalty": float("nan")}}, "training.l2_penalty: input should be a finite number"),
        ({"ensemble": {"limit_mib": float("inf")}}, "ensemble.limit_mib: input should be a finite number"),
        ({"blessing": {"gap_floor": float("nan")}}, "blessing.gap_floor: input should be a finite number"),
        (
            {"training_overrides": {"K9-H8": {}}},
            "training_overrides.K9-H8: is not among the variants of this recipe; leave it out, or all "
            "with training_overrides={}",
        ),
        ({"training_overrides": {"K4-H8": {"steps": 0}}}, "training_overrides.K4-H8.steps: "),
        (
            {"ensemble": {"limit_mib": 1024 * 2**20}},
            "ensemble.limit_mib: input should be less than or equal to 1048576",
        ),
        ({"training": {"frames_per_video": 100_000}}, "training.frames_per_video: input should be less than"),
        (
            {"training": {"steps": 9}, "averaging": {"steps": [[9, 9], [10, 20]]}},
            "averaging.steps: no snapshot is in [10, 20]: they are taken at the steps 9 to 9",
        ),
        (
            {"data": {"validate": ["x"], "spans": "last-3"}},
            "data: spans is last-3, and the patterns have no {SPAN}",
        ),
        (
            {"blessing": {"spans": "last-3"}},
            "blessing.spans is last-3, and the patterns of data have no {SPAN}",
        ),
        (
            {"data": {"train": ["{SPAN}/x"], "validate": ["y"]}},
            "data: y has no {SPAN}, and other patterns have one: give it to all, or to none",
        ),
        ({"push": {"directory": "~/models"}}, "push.directory: only a shell replaces ~"),
        ({"ensemble": {"limit_mib": 1}}, "ensemble.limit_mib: no variant fits into 1 MiB"),
        ({"compression": {"ladder": ["int4"]}}, "compression.ladder.0: a codec is written like int4-b128"),
        (
            {"compression": {"ladder": ["int8", "float16", "int8"]}},
            "compression: ladder: int8 stands there more than once",
        ),
        (
            {"compression": {"ladder": ["int8+gating_prob=float16"]}},
            "compression.ladder: int8+gating_prob=float16: gating_prob is no kernel of K4-H8",
        ),
        (
            {
                "variants": ["MLP-H64"],
                "training_overrides": {},
                "compression": {"ladder": ["int8+gating/weights=int8+hidden/weights=float16"]},
            },
            "compression.ladder: int8+gating/weights=int8+hidden/weights=float16: gating/weights is no kernel of "
            "MLP-H64; those are classes/weights, hidden/weights; write int8+hidden/weights=float16 instead",
        ),
        (
            {"data": {"validate": ["x"], "spans": "3"}},
            "data.spans: give newest, or one like last-3 or since-12. Received: '3'",
        ),
        (
            {"serving": {"model_name": "a b"}},
            "serving.model_name: letters, digits, hyphens and underscores. Received: 'a b'",
        ),
        (
            {"beam": {"runner": "PortableRunner", "job_endpoint": "x"}},
            "beam.job_endpoint: give HOST:PORT, such as localhost:8099. Received: 'x'",
        ),
        ({"data": {"train": ["x"]}}, "data: needs validate patterns"),
        (
            {"name": "Under_score"},
            "name: at most 60 lower-case letters, digits and hyphens, without a hyphen at its ends, such as my-recipe. "
            "Received: 'Under_score'",
        ),
        ({"data": {"validate": "a*"}}, "data.validate: must be a list. Received: 'a*'"),
        ({"training": 5}, "training: must be a section with keys. Received: 5"),
        (
            {"variants": ["foo"]},
            "variants.0: an architecture is written like Transformer-L2-H1152. Received: 'foo'",
        ),
        ({"nosection": {}}, "nosection: unknown key (known are name, data, "),
        ({"push": {}}, "push.directory: required, but not given"),
        ({"push": None}, "push: "),
    ],
)
def test_wrong_value_is_refused_with_its_place(changes: dict[str, object], part: str) -> None:
    message = refusal(**changes)
    assert message.startswith(f"test: {part}")
    assert "\n" not in message


def test_limit_holds_at_n_bytes_and_not_at_one_less() -> None:
    needed = stored_bytes(ModelSpec.parse("K4-H8"), FLOAT16)
    assert small(ensemble={"limit_mib": needed / MIB}).ensemble.limit_bytes == needed
    assert "no variant fits" in refusal(ensemble={"limit_mib": (needed - 1) / MIB})


def test_the_limit_is_that_of_the_smallest_form() -> None:
    ladder = ["float16", "int4-b128"]
    needed = stored_bytes(ModelSpec.parse("K4-H8"), StoredForm.parse("int4-b128"))
    recipe = small(ensemble={"limit_mib": needed / MIB}, compression={"ladder": ladder})
    assert [form.name for form in recipe.compression.forms] == ladder
    assert recipe.model_dump(mode="json", by_alias=True)["compression"]["ladder"] == ladder
    message = refusal(ensemble={"limit_mib": (needed - 1) / MIB}, compression={"ladder": ladder})
    assert message.endswith("in int4-b128")
    assert [form.name for form in small().compression.forms] == ["float16"]


def test_all_complaints_are_given_at_once() -> None:
    message = refusal(training={"steps": 0, "learning_rat": 1})
    assert "training.steps" in message
    assert "learning_rat:" in message


def test_of_a_file_that_is_no_recipe_the_first_complaints_are_told() -> None:
    message = refusal(**{f"run_{number}": 1 for number in range(30)})
    assert message.count("unknown key") == MOST
    assert message.endswith("; and 22 more complaints: is it a recipe?")


def test_recipe_survives_json() -> None:
    recipe = load_recipe("yhls", ["training_overrides.K16-H800.steps=7"])
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe


def test_the_vocabulary_counts_from_the_current_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    recipe = small(data={"validate": ["a*.tfrecord"], "vocabulary": "names.csv"})
    assert recipe.with_absolute_paths().data.vocabulary == "/tmp/names.csv"
    assert small().with_absolute_paths().data.vocabulary is None


def test_where_training_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    variant, *_ = small().variants
    assert small().start_of(variant) is None
    assert small(training={"start": "previous"}).start_of(variant) == small().push.directory
    monkeypatch.chdir("/")
    for sections in (
        {"training": {"start": "models/7"}},
        {"training_overrides": {str(variant): {"start": "models/7"}}},
    ):
        named = small(**sections).with_absolute_paths()
        assert named.start_of(variant) == "/models/7"
        assert Recipe.model_validate_json(named.model_dump_json(by_alias=True)) == named
    assert "training.start: give scratch, previous, or" in refusal(training={"start": "s3://bkt/m"})
    assert "with halving.enabled it must be scratch" in refusal(
        training={"start": "previous"}, halving={"enabled": True}
    )


def test_the_holdout_is_a_number_of_files_or_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"validate": ["v*"]}
    assert small(data=data).data.judging_split == "eval"
    assert small(data={**data, "holdout_files": 6}).data.holdout_files == 6
    one = small(data={**data, "holdout_files": "h*.tfrecord"})
    assert one.data.patterns == ("v*", "h*.tfrecord")
    monkeypatch.chdir("/")
    assert one.with_absolute_paths().data.holdout_files == ("/h*.tfrecord",)
    assert small(data={**data, "holdout_files": 6}).with_absolute_paths().data.holdout_files == 6
    assert Recipe.model_validate_json(one.model_dump_json(by_alias=True)) == one
    assert "data.holdout_files" in refusal(data={**data, "holdout_files": -1})
    assert "Dataflow's workers read gs:// only, not h*" in refusal(
        data={"validate": ["gs://bkt/v*"], "holdout_files": ["h*"]},
        beam={"runner": "DataflowRunner", "project": "p", "region": "r", "temp_location": "gs://bkt/t"},
    )
