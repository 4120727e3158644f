"""The options that name a recipe and change it, the same in every verb that takes one."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Recipe

RecipeName = Annotated[
    str,
    typer.Option("--recipe", help="demo, video_level, yhls, table1, grid28, or the path of a YAML file."),
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", help="Pattern of files to split into training and evaluation; may be repeated."),
]
Train = Annotated[
    list[str] | None, typer.Option("--train", help="Pattern of files to train on; may be repeated.")
]
Validate = Annotated[
    list[str] | None,
    typer.Option("--validate", help="Pattern of files of which some become the eval split; may be repeated."),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value, over the recipe's; may be repeated.")
]


def chosen_recipe(
    name: str,
    data: list[str] | None,
    train: list[str] | None,
    validate: list[str] | None,
    overrides: list[str] | None,
) -> "Recipe":
    """The recipe with what the command line says otherwise; UserError where the options contradict each other."""
    from pipeline.recipe.loader import load_recipe
    from trainer.base.errors import UserError

    if data and (train or validate):
        raise UserError("--data is for files that are split here; give either it, or --train and --validate")
    if data:
        train, validate = [], data
    return load_recipe(name, overrides or (), train=train, validate=validate)
