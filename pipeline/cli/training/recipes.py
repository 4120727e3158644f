"""The verb ``yt8m recipes``, which lists the recipes of the project and makes a copy of one for a user."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.output import AsJson, show_list
from pipeline.cli.verb_group import VerbGroup
from pipeline.recipe.loader import load_recipe, read_text, recipe_names
from pipeline.recipe.own_copy import own_copy
from trainer.base.errors import UserError
from trainer.base.full_disk import chosen_by
from trainer.base.whole import whole_file

_ROW = "{:<15} {:>8}  {}"

app = typer.Typer(cls=VerbGroup, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _recipes(context: typer.Context, as_json: AsJson = False) -> None:
    """Lists the recipes that come with the project, or makes a copy of one to change.

    \b
    Examples: yt8m recipes
              yt8m recipes new mine --from yhls
    """
    if context.invoked_subcommand:
        return
    found = [_described(name) for name in recipe_names()]
    if not as_json:
        typer.echo(_ROW.format("recipe", "variants", "for"))
    show_list("recipes", found, _line, "", as_json)


@app.command()
def new(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the recipe: lower-case letters, digits and hyphens. Makes NAME.yaml here."
        ),
    ],
    source: Annotated[
        str, typer.Option("--from", help="Name of the recipe to copy, or path of a YAML file.")
    ],
) -> None:
    """Writes NAME.yaml, a copy of a recipe with its own name, whose runs and models go to places of that name.

    Example: yt8m recipes new mine --from yhls
    """
    text = own_copy(name, source)
    path = Path(f"{name}.yaml")
    if os.path.lexists(path):
        raise UserError(f"{path} is there already; remove it, or give another name")
    with chosen_by("directory", str(path)), whole_file(str(path)) as unfinished:
        Path(unfinished).write_text(text, encoding="utf-8")
    directory = load_recipe(str(path)).push.directory
    typer.echo(f"{path}: runs go to runs/{name}, models to {directory}; yt8m run --recipe {path} starts one")


def _described(name: str) -> dict[str, Any]:
    recipe = load_recipe(name)
    return {
        "name": name,
        "variants": [str(variant) for variant in recipe.variants],
        "description": _first_sentence(read_text(name)),
        "runs": f"runs/{recipe.name}",
        "models": recipe.push.directory,
    }


def _line(recipe: dict[str, Any]) -> str:
    return _ROW.format(recipe["name"], len(recipe["variants"]), recipe["description"])


def _first_sentence(text: str) -> str:
    """Returns the first sentence of the comment at the head of a recipe."""
    head = []
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        head.append(line.removeprefix("# "))
    return " ".join(head).partition(". ")[0].rstrip(".")
