"""What tests of runs on this machine share."""

from pathlib import Path

import pytest

from pipeline.recipe.loader import parse_recipe
from pipeline.recipe.recipe import Recipe
from tests.pipeline.tiny_recipe import tiny_recipe


@pytest.fixture
def recipe(tiny_sample: Path, tmp_path: Path):
    """Makes the tiny recipe, with other sections."""

    def make(push: object = tmp_path / "served", **sections) -> Recipe:
        return parse_recipe(tiny_recipe(tiny_sample, str(push), **sections), where="tiny")

    return make
