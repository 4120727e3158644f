"""The options that name a recipe and change it, the same in every verb that takes one."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Recipe


def _names(begun: str) -> list[str]:
    """Returns the names of recipes that begin so, for the completion of a shell."""
    from pipeline.recipe.loader import recipe_names

    return [name for name in recipe_names() if name.startswith(begun)]


RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        help="Name of a recipe (yt8m recipes lists them), or path of a YAML file.",
        autocompletion=_names,
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", help="Pattern of files that are split into training and evaluation. May be repeated."
    ),
]
Train = Annotated[
    list[str] | None, typer.Option("--train", help="Pattern of files to train on. May be repeated.")
]
Validate = Annotated[
    list[str] | None,
    typer.Option("--validate", help="Pattern of files of which some become the eval split. May be repeated."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Sets a key of the recipe to another value, as section.key=value. May be repeated."
    ),
]


def chosen_recipe(
    name: str,
    data: list[str] | None,
    train: list[str] | None,
    validate: list[str] | None,
    overrides: list[str] | None,
) -> "Recipe":
    """Returns the recipe with the command line's changes; raises UserError if the options contradict each other."""
    from pipeline.recipe.loader import load_recipe
    from trainer.base.errors import UserError

    if data and (train or validate):
        raise UserError("--data is for files that are split here; give either it, or --train and --validate")
    if data:
        train, validate = [], data
    return load_recipe(name, overrides or (), train=train, validate=validate)
