"""What is wrong with a recipe, in the reader's words: place, complaint, and the nearest right name."""

import difflib
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


def complaints(error: ValidationError, model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """One text a complaint of pydantic's.

    Args:
        error: What validating a tree as the model raised.
        model: The model.
        prefix: Place of the tree in a larger one, such as ``training_overrides.K24-H1440.``.
    """
    for item in error.errors(include_url=False):
        location = item["loc"]
        place = prefix + ".".join(str(part) for part in location)
        if item["type"] == "extra_forbidden":
            yield f"{place}: unknown key{nearest(str(location[-1]), _keys_at(model, location[:-1]))}"
        elif item["type"] == "missing":
            yield f"{place}: required, but not given"
        elif not place:
            yield _message(item["msg"])
        else:
            yield f"{place}: {_message(item['msg'])}. Received: {_short(item['input'])}"


def nearest(name: str, known: Sequence[str]) -> str:
    """``, did you mean X?``, or the choices where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f", did you mean {near[0]}?"
    return f" (known are {', '.join(known)})" if known else ""


def _keys_at(annotation: Any, location: Sequence[str | int]) -> list[str]:
    """The keys that a place of the recipe may have."""
    for model in _models(annotation):
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if not location:
            return list(fields)
        if field := fields.get(str(location[0])):
            # In a collection of models the next part of the location is its index or key.
            collection = get_origin(field.annotation) not in (None, Union, UnionType)
            return _keys_at(field.annotation, location[2 if collection else 1 :])
    return []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as ``X``, ``X | None`` or ``dict[str, X]``."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
    else:
        for argument in get_args(annotation):
            yield from _models(argument)


def _message(text: str) -> str:
    # Pydantic prefixes what validators of ours raise.
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
