"""A variant as a recipe writes it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from trainer.base.errors import UserError
from trainer.model.architectures import ARCHITECTURES, Architecture


def _variant(value: Any) -> Architecture:
    if isinstance(value, Architecture):
        return value
    try:
        return ARCHITECTURES.parse(str(value))
    except UserError as error:
        raise ValueError(str(error)) from None


VariantName = Annotated[Architecture, BeforeValidator(_variant), PlainSerializer(str)]
"""An architecture, written by its name, such as K24-H1440, in YAML."""
