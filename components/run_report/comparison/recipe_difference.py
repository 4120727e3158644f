"""What differs between the recipes of several runs: a pure function of the recipes."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from components.report_file import ReportPart

Recipe = dict[str, Any]

DEFAULT = "default"
"""Stands for a setting that a recipe leaves at its default; a report's recipe has no such settings."""


class RecipeDifference(ReportPart):
    """A setting that is not the same in all recipes."""

    key: str = Field(description="The place of the setting, such as `training.steps`.")
    values: tuple[str | None, ...] = Field(
        description="Its text for each recipe; `default` for a default, None for a recipe that is not known."
    )


def recipe_differences(recipes: Sequence[Recipe | None]) -> tuple[RecipeDifference, ...]:
    """Finds the settings that are not the same in all recipes, ordered by key.

    Args:
        recipes: The recipe of each run, without settings that have their default; None where it is not known.

    >>> recipe_differences([{"name": "a", "training": {"steps": 5}}, {"name": "a"}])
    (RecipeDifference(key='training.steps', values=('5', 'default')),)
    """
    flat = [None if recipe is None else _flat(recipe) for recipe in recipes]
    known = [one for one in flat if one is not None]
    keys = sorted({key for one in known for key in one})
    return tuple(
        RecipeDifference(
            key=key, values=tuple(None if one is None else one.get(key, DEFAULT) for one in flat)
        )
        for key in keys
        if len({one.get(key, DEFAULT) for one in known}) > 1
    )


def _flat(tree: Recipe, prefix: str = "") -> dict[str, str]:
    """Returns the leaves of a tree as texts, by their places; a list is one leaf."""
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return leaves
