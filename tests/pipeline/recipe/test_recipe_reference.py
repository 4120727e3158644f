"""The reference of recipes says what the code says."""

from pathlib import Path

from pipeline.recipe.recipe import Recipe
from pipeline.recipe.reference import recipe_reference

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_page_is_what_the_code_makes():
    assert PAGE.read_text(encoding="utf-8") == recipe_reference(), "run make docs"


def test_every_section_and_key_is_there():
    page = recipe_reference()
    for name, field in Recipe.model_fields.items():
        assert f"`{name}`" in page
        for key, inner in getattr(field.annotation, "model_fields", {}).items():
            assert f"| `{inner.alias or key}` |" in page


def test_types_bounds_and_defaults_as_a_user_of_yaml_would_say_them():
    page = recipe_reference()
    assert "| `dropout` | number, ≥ 0, < 1 | `0.0` |" in page
    assert "| `automatic` | true or false | `true` |" in page
    assert "| `fractions` | list of [number, number] | none |" in page
    assert "| `directory` | text | needed |" in page
    assert (
        "| `runner` | `DirectRunner` or `DataflowRunner` or `FlinkRunner` or `PortableRunner` | `DirectRunner` |"
        in page
    )
