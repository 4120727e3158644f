"""A stored form as a recipe writes it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError


def _form(value: Any) -> StoredForm:
    if isinstance(value, StoredForm):
        return value
    try:
        return StoredForm.parse(str(value))
    except UserError as error:
        raise ValueError(str(error)) from None


FormName = Annotated[StoredForm, BeforeValidator(_form), PlainSerializer(str)]
"""A stored form, written by its name, such as int4-b128, in YAML."""
