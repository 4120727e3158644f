"""What differs between the recipes of several runs: a pure function of the recipes."""

from collections.abc import Sequence
from typing import Any

Recipe = dict[str, Any]

DEFAULT = "default"
"""Stands for a setting that a recipe leaves at its default; a report's recipe has no such settings."""


def recipe_differences(recipes: Sequence[Recipe | None]) -> list[dict[str, Any]]:
    """Finds the settings that are not the same in all recipes.

    Args:
        recipes: The recipe of each run, without settings that have their default; None where it is not known.

    Returns:
        [{key, values}], by key: the place of the setting, such as `training.steps`, and its text for each recipe, which
        is `default` for a default and None for a recipe that is not known.

    >>> recipe_differences([{"name": "a", "training": {"steps": 5}}, {"name": "a"}])
    [{'key': 'training.steps', 'values': ['5', 'default']}]
    """
    flat = [None if recipe is None else _flat(recipe) for recipe in recipes]
    known = [one for one in flat if one is not None]
    keys = sorted({key for one in known for key in one})
    return [
        {"key": key, "values": [None if one is None else one.get(key, DEFAULT) for one in flat]}
        for key in keys
        if len({one.get(key, DEFAULT) for one in known}) > 1
    ]


def _flat(tree: Recipe, prefix: str = "") -> dict[str, str]:
    """Returns the leaves of a tree as texts, by their places; a list is one leaf."""
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return leaves
