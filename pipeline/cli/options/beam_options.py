"""The option that gives the work to Beam: it sets the keys of a recipe's section `beam`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.recipe.beam import BeamSection

BeamSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--beam",
        help="Sets a key of a recipe's section beam, as KEY=VALUE, such as runner=DirectRunner. With "
        "it Beam does the work, in many processes or on many machines. May be repeated.",
    ),
]


def beam_section(settings: Sequence[str]) -> "BeamSection":
    """Returns the section that the settings make; raises UserError if one is unknown, wrong or missing."""
    from pydantic import ValidationError

    from pipeline.recipe.beam import BeamSection
    from pipeline.recipe.errors import complaints
    from pipeline.recipe.loader import apply_override
    from trainer.base.errors import UserError

    tree: dict[str, object] = {}
    for setting in settings:
        apply_override(tree, setting, "--beam", "KEY=VALUE, for example runner=DirectRunner")
    try:
        return BeamSection.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"--beam: {'; '.join(complaints(error, BeamSection))}") from None
