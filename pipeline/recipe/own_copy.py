"""Makes a user's own recipe of another one: a copy of its text, comments included, with its own name and places."""

import math
from typing import Any

import yaml

from pipeline.recipe.loader import parse_recipe, read_text, recipe_names, tree_of
from trainer.base.errors import UserError


def own_copy(name: str, source: str) -> str:
    """Returns the text of a recipe of another name, whose models go to a directory of that name.

    Args:
        name: The name of the new recipe: lower-case letters, digits and hyphens.
        source: The recipe to copy: its name, or the path of a YAML file.

    Raises:
        UserError: If the name is taken or no name of a recipe, or the source is no recipe.
    """
    if name in recipe_names():
        raise UserError(f"{name} is a recipe of the project; give yours another name")
    text = read_text(source)  # once: it may be a pipe
    tree = tree_of(text, source)
    directory = _of_its_own(tree, name)
    for place, value in ((("name",), name), (("push", "directory"), directory)):
        start, end = _span(text, place, source)
        text = text[:start] + _scalar(value) + text[end:]
    parse_recipe(yaml.safe_load(text), where=f"recipe {name}")
    return text.replace(f"--recipe {tree['name']} ", f"--recipe {name}.yaml ")


def _scalar(text: str) -> str:
    """Returns a text as YAML has it: in quotes where YAML would read no, 12 or 1e3 as something else.

    >>> _scalar("mine"), _scalar("no"), _scalar("12")
    ('mine', "'no'", "'12'")
    """
    return yaml.safe_dump(text, allow_unicode=True, width=math.inf).removesuffix("\n").removesuffix("\n...")


def _of_its_own(tree: dict[str, Any], name: str) -> str:
    """Returns the directory of the models: that of the source with the new name in the place of the old one."""
    parts = str((tree.get("push") or {}).get("directory", "")).split("/")
    old = tree.get("name")
    return (
        "/".join(name if part == old else part for part in parts) if old in parts else f"models/{name}/yt8m"
    )


def _span(text: str, place: tuple[str, ...], source: str) -> tuple[int, int]:
    """Returns where in a YAML text the value of a key begins and ends."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in place:
        found = (
            [value for name, value in node.value if name.value == key] if isinstance(node.value, list) else []
        )
        if not found:
            raise UserError(f"recipe {source}: {'.'.join(place)}: required, but not given")
        node = found[0]
    return node.start_mark.index, node.end_mark.index
