"""Recipes as files: what overrides them, what is no recipe, and a copy of one."""

import re

import pytest
import yaml

from pipeline.recipe.loader import load_recipe, read_text, recipe_tree
from pipeline.recipe.own_copy import own_copy
from tests.pipeline.recipe.small_recipe import SMALL, small
from trainer.base.errors import UserError


def test_override_of_values_lists_and_missing_sections() -> None:
    recipe = load_recipe(
        "yhls",
        [
            "training.learning_rate=0.001",
            "training.batch_size=160",
            "variants.1=K16-H512",
            "training_overrides.K16-H512.steps=7",
            "compression.tolerance=0.5",
            "beam.args=[--temp_location=x]",
        ],
    )
    assert recipe.training.learning_rate == 0.001
    assert recipe.training.batch_size == 160
    assert str(recipe.variants[1]) == "K16-H512"
    assert recipe.training_of(recipe.variants[1]).steps == 7
    assert recipe.training_of(recipe.variants[0]).steps == recipe.training.steps
    assert recipe.compression.tolerance == 0.5
    assert recipe.beam.args == ("--temp_location=x",)


def test_override_with_an_exponent_is_a_number() -> None:
    assert load_recipe("yhls", ["training.learning_rate=1e-3"]).training.learning_rate == 0.001


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("training.learning_rate", "--set takes section.key=value"),
        ("training..steps=1", "--set takes section.key=value"),
        ("variants.9=K4-H8", "--set variants.9: variants is a list of 4 elements, counted from 0"),
        ("name.x=1", "--set name.x: name is a value, not a section"),
        ("training.steps=[1", "--set training.steps: the value is not YAML: expected ',' or ']', but got"),
        ("training.steps=" + "[" * 3000, "--set training.steps: its sections are nested too deeply"),
        (
            "serving.model_name=2026-13-01",
            "--set serving.model_name: 2026-13-01 cannot be read (month must be in 1..12) (line 1); write a text in "
            "quotes",
        ),
        ("data.seed=!!set [1]", "--set data.seed: the value is not YAML"),
        ("training.stepz=1", "recipe yhls: training.stepz: unknown key, did you mean steps?"),
    ],
)
def test_bad_override_is_refused(override: str, part: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("yhls", [override])
    assert str(caught.value).startswith(part)


def test_data_patterns_of_the_command_line_replace_the_recipes() -> None:
    recipe = load_recipe("yhls", train=[], validate=["x/*.tfrecord"])
    assert recipe.data.train == ()
    assert recipe.data.validate_ == ("x/*.tfrecord",)
    with pytest.raises(UserError, match=r"data.validate is given by --set, and by an option of its own"):
        load_recipe("yhls", ["data.validate=[y/*]"], train=[], validate=["x/*.tfrecord"])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean video-level"):
        load_recipe("videolevel")
    with pytest.raises(UserError, match="no such file; give the path of one on this machine"):
        load_recipe("./nothing.yaml")
    with pytest.raises(UserError, match="no such file; demo is the name of a recipe"):
        load_recipe("demo.yml")


def test_recipe_from_a_file(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert load_recipe(str(path)) == small()


def test_key_given_twice_is_refused(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SMALL) + "\npush: {directory: elsewhere}\n")
    with pytest.raises(UserError, match="push stands twice"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"\x7fELF\xff\xfe", "not a text in UTF-8"),
        (b"1: x", "key 1 is no text (line 1)"),
        (b"a: {[b]: x}", "key ['b'] is no text (line 1)"),
        (b"a: 1\nb: 2026-13-01", "2026-13-01 cannot be read (month must be in 1..12) (line 2)"),
        (b"a: 1\n---\nb: 2", "a second document begins in line 2, and a recipe is one"),
        ("a:\n\u00a0 b: 1".encode(), "line 2 has a blank that YAML does not know, U+00A0"),
        ("a: \u30001".encode(), "line 1 has a blank that YAML does not know, U+3000"),
        (b"- a", "must be a mapping of sections"),
        (b"# nothing yet\n", "it is empty; yt8m recipes new NAME --from demo"),
        (
            b"a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n",
            "line 2 has <<<<<<<, the mark of a merge that is not finished",
        ),
        (
            b"a: 1\n=======\nb: 3\n>>>>>>> mine\n",
            "line 2 has =======, the mark of a merge that is not finished",
        ),
        (
            b"a: [1\nb: 2",
            "mine.yaml: not YAML: expected ',' or ']', but got ':' (line 2, column 2): look there",
        ),
        (
            b"a:\n  b:1\n  c: 2",
            "not YAML: mapping values are not allowed here (line 3, column 4): look there",
        ),
        (b"a:\n  b:1\n  c: 2", "look there and at the line above; a colon needs a blank behind it"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path, content: bytes, part: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(part)):
        load_recipe(str(path))
    with pytest.raises(UserError, match="Is a directory"):
        load_recipe(f"{tmp_path}/")


def test_a_users_copy_has_its_own_name_and_places_and_all_comments() -> None:
    text = own_copy("mine", "yhls")
    tree, source = yaml.safe_load(text), recipe_tree("yhls")
    assert tree == {**source, "name": "mine", "push": {"directory": "models/mine/yt8m"}}
    assert "yt8m run --recipe mine.yaml --train" in text
    assert text.count("#") == read_text("yhls").count("#")
    assert own_copy("yours", "video_level") == own_copy("yours", "video-level")


def test_a_users_copy_of_a_file_keeps_its_place(tmp_path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(
        yaml.safe_dump({**SMALL, "push": {"directory": "gs://bkt/small/yt8m"}}, default_flow_style=True)
    )
    assert yaml.safe_load(own_copy("mine", str(path)))["push"]["directory"] == "gs://bkt/mine/yt8m"
    # What YAML would read as something else than a text.
    for name in ("no", "12", "null", "1e3", "2026-01-01"):
        assert yaml.safe_load(own_copy(name, "yhls"))["name"] == name
    for name, reason in (
        ("yhls", "is a recipe of the project"),
        ("Mine", "lower-case"),
        ("a/b", "lower-case"),
    ):
        with pytest.raises(UserError, match=reason):
            own_copy(name, str(path))
    path.write_text("name: theirs")
    with pytest.raises(UserError, match=r"push.directory: required"):
        own_copy("mine", str(path))
