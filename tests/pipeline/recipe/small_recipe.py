"""A recipe of two small variants that holds what must be given, and no more."""

from pipeline.recipe.loader import parse_recipe
from pipeline.recipe.recipe import Recipe

SMALL = {
    "name": "small",
    "data": {"validate": ["a*.tfrecord"]},
    "variants": ["K4-H8", "K8-H8"],
    "push": {"directory": "models/small"},
}


def small(**changes: object) -> Recipe:
    """With other sections."""
    return parse_recipe({**SMALL, **changes}, where="test")
