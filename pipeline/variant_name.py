"""A variant as a recipe writes it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from trainer.errors import UserError
from trainer.variant import Variant


def _variant(value: Any) -> Variant:
    if isinstance(value, Variant):
        return value
    try:
        return Variant.parse(str(value))
    except UserError as error:
        raise ValueError(str(error)) from None


VariantName = Annotated[Variant, BeforeValidator(_variant), PlainSerializer(str)]
"""Written K24-H1440 in YAML."""
