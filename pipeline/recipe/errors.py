"""Says what is wrong with a recipe in the reader's words: the place, the complaint, and the nearest right name."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

MOST = 8
"""Most complaints of one recipe that are told. A recipe has fewer; a file of another kind has any number."""

_IN_OUR_WORDS = {
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "dict_attributes_type"), "must be a section with keys"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be a text",
}
"""What pydantic says in the words of Python's types, by the type of its error."""


def complaints(error: ValidationError, model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yields one text for each complaint of pydantic.

    Args:
        error: The error that was raised when a tree was validated as the model.
        model: The model.
        prefix: The place of the tree in a larger one, such as ``training_overrides.K24-H1440.``.
    """
    items = error.errors(include_url=False)
    told: set[tuple[str | int, ...]] = set()
    for item in items:
        location = item["loc"]
        if item["type"] == "too_short" and any(
            len(i["loc"]) > len(location) for i in items if i["loc"][: len(location)] == location
        ):
            continue  # its elements are refused already, and so are not counted
        place = prefix + ".".join(str(part) for part in location)
        if item["type"] == "extra_forbidden":
            hint = nearest(str(location[-1]), _keys_at(model, section := location[:-1]))
            if others := _elsewhere(model, str(location[-1])):
                hint = f", did you mean {' or '.join(others)}?"
            # A section's keys are listed once, however many unknown ones it has.
            listed = hint.startswith(" (")
            yield f"{place}: unknown key{'' if listed and section in told else hint}"
            if listed:
                told.add(section)
        elif item["type"] == "missing":
            yield f"{place}: required, but not given"
        elif not place:
            yield _message(item["msg"])
        else:
            text = _IN_OUR_WORDS.get(item["type"]) or _message(item["msg"])
            # What is wrong with the whole of a section names its keys.
            told_already = "Received:" in text or (
                isinstance(item["input"], dict) and item["type"] == "value_error"
            )
            received = "" if told_already else f". Received: {_short(item['input'])}"
            yield f"{place}: {text}{received}"


def told(texts: Iterable[str]) -> str:
    """Joins complaints to one text, in which a file that is no recipe at all does not drown its reader."""
    first = [*texts]
    more = len(first) - MOST
    if more <= 0:
        return "; ".join(first)
    return f"{'; '.join(first[:MOST])}; and {more} more complaints: is it a recipe?"


def nearest(name: str, known: Sequence[str]) -> str:
    """Returns ``, did you mean X?``, or the list of known names if none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5 if len(name) < 4 else 0.6)
    if near:
        return f", did you mean {near[0]}?"
    return f" (known are {', '.join(known)})" if known else ""


def _elsewhere(model: type[BaseModel], key: str) -> list[str]:
    """Returns the places of other sections that have a key of this name."""
    return [f"{section}.{key}" for section in _keys_at(model, ()) if key in _keys_at(model, (section,))]


def _keys_at(annotation: Any, location: Sequence[str | int]) -> list[str]:
    """Returns the keys that a place of the recipe may have."""
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
    """Yields the models in an annotation such as ``X``, ``X | None`` or ``dict[str, X]``."""
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
