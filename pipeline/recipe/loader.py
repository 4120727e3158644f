"""Loads a recipe by its name or from a YAML file, with overrides from the command line."""

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.recipe.errors import complaints, nearest, told
from pipeline.recipe.recipe import Recipe
from trainer.base.errors import UserError
from trainer.base.files import at_once

_MERGE_MARK = re.compile(r"^(<{7}|={7}|>{7})( .*)?$", re.MULTILINE)
"""What git writes where two versions of a file differ in the same lines."""

_ODD_BLANK = re.compile(r"^(?:[ ]*(?:- *)?[\w-]+:)?[ ]*([\u00a0\u2000-\u200b\u202f\u3000])", re.MULTILINE)
"""A blank of a web page or a text processor where a line begins or behind its key: it looks like one and is none."""


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the project."""
    files = resources.files("pipeline").joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_recipe(
    name_or_path: str,
    overrides: Sequence[str] = (),
    *,
    train: Sequence[str] | None = None,
    validate: Sequence[str] | None = None,
) -> Recipe:
    """Reads a recipe, applies the overrides, and checks the result.

    Args:
        name_or_path: ``demo``, or the path of a YAML file (anything with a slash or a ``.yaml`` ending).
        overrides: ``section.key=value`` texts; the value is YAML, list elements are addressed by their index.
        train: Patterns that replace ``data.train``.
        validate: Patterns that replace ``data.validate``.

    Raises:
        UserError: If there is no such recipe, or a key or value of it is not accepted (with its place).

    >>> load_recipe("yhls", ["training.learning_rate=0.001"]).training.learning_rate
    0.001
    """
    tree = recipe_tree(name_or_path)
    for key, patterns in (("train", train), ("validate", validate)):
        if patterns is not None:
            tree["data"] = {**(tree.get("data") or {}), key: list(patterns)}
    for override in overrides:
        apply_override(tree, override)
    for key, patterns in (("train", train), ("validate", validate)):
        data = tree.get("data")
        if patterns is not None and isinstance(data, dict) and data.get(key) != list(patterns):
            raise UserError(
                f"data.{key} is given by --set, and by an option of its own (--data, --train or --validate): leave one "
                "of them out"
            )
    return parse_recipe(tree, where=f"recipe {name_or_path}")


def parse_recipe(tree: dict[str, Any], *, where: str) -> Recipe:
    """Returns the recipe of a tree of plain values; raises UserError with every complaint and its place."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{where}: {told(complaints(error, Recipe))}") from None


def read_text(name_or_path: str) -> str:
    """Returns the YAML text of a recipe.

    Args:
        name_or_path: As in `load_recipe`. An underscore counts as a hyphen: `video_level` was a name once.

    Raises:
        UserError: If there is no such recipe, or it is no text.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        try:
            with open(name_or_path, encoding="utf-8", opener=at_once) as file:
                return file.read()
        except FileNotFoundError:
            name = name_or_path.rpartition("/")[2].rpartition(".")[0]
            known = f"{name} is the name of a recipe, or " if name in recipe_names() else ""
            raise UserError(
                f"recipe {name_or_path}: there is no such file; {known}give the path of one on this machine"
            ) from None
        except UnicodeDecodeError:
            raise UserError(
                f"recipe {name_or_path}: not a text in UTF-8; give the path of a YAML file"
            ) from None
        except (OSError, ValueError) as error:  # a ValueError of a path with a null byte
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"recipe {name_or_path!r}: cannot be read: {reason}") from None
    name = name_or_path.replace("_", "-")
    if name not in recipe_names():
        raise UserError(
            f"recipe {name_or_path:.80}: there is none of that name{nearest(name_or_path, recipe_names())}"
            "; the path of a file has a slash or ends in .yaml"
        )
    return resources.files("pipeline").joinpath("recipes", f"{name}.yaml").read_text(encoding="utf-8")


def recipe_tree(name_or_path: str) -> dict[str, Any]:
    """Returns the content of a recipe as plain values, unchecked; raises UserError if there is none."""
    return tree_of(read_text(name_or_path), name_or_path)


def tree_of(text: str, name_or_path: str) -> dict[str, Any]:
    """Returns the content of a recipe's text as plain values, unchecked; raises UserError if it is no recipe's."""
    try:
        if odd := _ODD_BLANK.search(text):
            line = text.count("\n", 0, odd.start()) + 1
            raise _Fault(
                f"line {line} has a blank that YAML does not know, U+{ord(odd[1]):04X}: type it anew"
            )
        if mark := _MERGE_MARK.search(text):
            line = text.count("\n", 0, mark.start()) + 1
            raise _Fault(
                f"line {line} has {mark[1]}, the mark of a merge that is not finished; keep one version"
            )
        tree = _load_yaml(text)
    except _Fault as error:
        raise UserError(f"recipe {name_or_path}: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(
            f"recipe {name_or_path}: not YAML: {yaml_problem(error)}: look there and at the "
            "line above; a colon needs a blank behind it, and the keys of a section equally many blanks, no tabs, "
            "before them"
        ) from None
    if tree is None:
        raise UserError(
            f"recipe {name_or_path}: it is empty; yt8m recipes new NAME --from demo writes one to begin with"
        )
    if not isinstance(tree, dict):
        raise UserError(f"recipe {name_or_path}: must be a mapping of sections. Received: {tree!r:.80}")
    return tree


class _Fault(yaml.YAMLError):
    """What YAML allows and a recipe does not, or what PyYAML has no error of its own for."""


class _StrictLoader(yaml.SafeLoader):
    """Loads YAML and refuses a key that is given twice, of which PyYAML would silently take the last.

    A value that looks like a number or a date and is none, such as 2026-13-01, is refused with its line.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # PyYAML lets them through
            text = f"{node.value if isinstance(node, yaml.ScalarNode) else node.tag:.80}"
            line = node.start_mark.line + 1
            raise _Fault(f"{text} cannot be read ({error}) (line {line}); write a text in quotes") from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                line = key_node.start_mark.line + 1
                raise _Fault(f"key {key!r:.80} is no text (line {line}); write it in quotes")
            if key in seen:
                raise _Fault(f"key {key} stands twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def yaml_problem(error: Exception) -> str:
    """Returns what PyYAML says of a text that is no YAML as one clause: the problem, and the line and column of it."""
    mark = getattr(error, "problem_mark", None)
    return (
        f"{error.problem or error.context} (line {mark.line + 1}, column {mark.column + 1})"
        if mark
        else str(error)
    )


def _load_yaml(text: str) -> Any:
    """Returns the content of one YAML document; raises a yaml.YAMLError for whatever is wrong with it."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except RecursionError:
        raise _Fault("its sections are nested too deeply") from None
    except yaml.composer.ComposerError as error:
        if "single document" not in str(error.context):
            raise
        raise _Fault(
            f"a second document begins in line {error.problem_mark.line + 1}, and a recipe is one (what yt8m compile "
            "writes is no recipe any more)"
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise yaml.YAMLError(error) from None


def apply_override(
    tree: dict[str, Any],
    override: str,
    option: str = "--set",
    form: str = "section.key=value, for example training.steps=500",
) -> None:
    """Sets one ``a.b.0=value`` in a tree of dicts and lists, making missing dicts on the way.

    Args:
        tree: The tree of plain values, which is changed in place.
        override: The text, such as ``data.seed=1``.
        option: The option of the command line that the text was given with, for messages.
        form: The form that the option takes, for messages.

    Raises:
        UserError: If it has another form, its value is no YAML, or its place cannot be.
    """
    place, equals, text = override.partition("=")
    keys = [key.strip() for key in place.split(".")]
    if not equals or not all(keys):
        raise UserError(f"{option} takes {form}. Received: {override!r}")
    try:
        value = _load_yaml(text)
    except _Fault as error:
        raise UserError(f"{option} {place}: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{option} {place}: the value is not YAML: {yaml_problem(error)}") from None
    node: Any = tree
    for depth, key in enumerate(keys):
        step = _step(node, key, f"{option} {place}: {'.'.join(keys[:depth])}")
        if depth == len(keys) - 1:
            node[step] = value
        else:
            if isinstance(node, dict) and node.get(step) is None:
                node[step] = {}
            node = node[step]


def _step(node: Any, key: str, where: str) -> str | int:
    """Returns the key or index that leads from a node to the next one."""
    if isinstance(node, dict):
        return key
    if not isinstance(node, list):
        raise UserError(f"{where} is a value, not a section")
    if not re.fullmatch(r"\d+", key) or int(key) >= len(node):
        raise UserError(f"{where} is a list of {len(node)} elements, counted from 0. Received index: {key}")
    return int(key)
