"""JSON values as elements of tensors, with TensorFlow Serving's error texts.

Source of the rules and the texts: tensorflow/serving 2.16, json_tensor.cc.
"""

import binascii
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

from serving.server.status import StatusError, invalid_argument
from serving.server.tensors import MAX_RANK, dtype_name

_SHOWN = 256
"""Most characters of a value that an error text shows."""

_TYPES = {
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
    bool: "False",
    type(None): "Null",
}


def parse_json(body: bytes | memoryview) -> dict[str, Any]:
    """Parses the JSON object of a request; raises StatusError if it is none."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    if not isinstance(document, dict):
        raise format_error(document, "Is not object")
    return document


def shape_of(value: Any) -> list[int]:
    """Returns the lengths of nested lists, by the first list of each level; raises StatusError at too many levels."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise invalid_argument(f"the tensor has more than {MAX_RANK} dimensions")
        if not value:
            break
        value = value[0]
    return shape


def flat_values(value: Any, shape: Sequence[int], leaves: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """Returns the elements of nested lists in row-major order.

    Args:
        value: The lists; a single value where the shape is [].
        shape: The lengths that the lists of each level must have.
        leaves: Makes elements of the values of an innermost list.

    Raises:
        StatusError: If the lists have another shape, or as `leaves` does.
    """
    found: list[Any] = []
    _fill(value, 0, shape, leaves, found)
    return found


def leaves_of(enum: int) -> Callable[[list[Any]], list[Any]]:
    """Makes what turns the JSON values of a tensor of a DataType into elements, or raises StatusError."""
    if enum == tf.string.as_datatype_enum:
        return lambda values: [_string(value) for value in values]
    dtype = np.dtype(tf.as_dtype(enum).as_numpy_dtype)
    if dtype.kind == "f":
        allowed = {int, float}
    elif dtype.kind in "iu":
        allowed = {int}
    elif dtype.kind == "b":
        allowed = {bool}
    else:
        raise invalid_argument(f"Conversion of JSON values to type: {dtype_name(enum)} is not supported")
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (None, None)

    def checked(values: list[Any]) -> list[Any]:
        if set(map(type, values)) <= allowed and (
            low is None or not values or (min(values) >= low and max(values) <= high)
        ):
            return values
        wrong = next(
            value
            for value in values
            if type(value) not in allowed or (low is not None and not low <= value <= high)
        )
        raise _type_error(wrong, enum)

    return checked


def array_of(values: list[Any], enum: int, shape: Sequence[int]) -> np.ndarray:
    """Returns elements in row-major order as an array of a DataType and a shape; bytes as objects."""
    if enum != tf.string.as_datatype_enum:
        return np.array(values, tf.as_dtype(enum).as_numpy_dtype).reshape(shape)
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def text_or_base64(value: Any) -> bytes:
    """Returns the bytes of a JSON string, or of an object {"b64": STRING}."""
    if isinstance(value, str):
        return value.encode()
    if not _is_base64(value):
        raise invalid_argument(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    return base64_bytes(value["b64"])


def base64_bytes(text: str) -> bytes:
    """Decodes base64, whose padding may be left out; raises StatusError."""
    padded = text + "=" * (-len(text) % 4)
    with contextlib.suppress(ValueError):
        # Without strict_mode, which takes two thirds longer. What it would refuse is left out here.
        data = binascii.a2b_base64(padded)
        if len(data) == len(padded) // 4 * 3 - padded[-2:].count("="):
            return data
    text = "".join(text.split())  # there may be line breaks in it
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise invalid_argument("Unable to base64 decode") from None


def is_object(value: Any) -> bool:
    """Returns whether a value is a JSON object other than {"b64": STRING}, which stands for bytes."""
    return isinstance(value, dict) and not _is_base64(value)


def format_error(value: Any, problem: str) -> StatusError:
    """Returns an INVALID_ARGUMENT that shows the beginning of a value before the problem."""
    return invalid_argument(f"JSON Value: {shown(value)} {problem}")


def shown(value: Any) -> str:
    """Returns the beginning of a value as JSON, however large it is."""
    return orjson.dumps(_beginning(value, 3)).decode()[:_SHOWN]


def _fill(
    value: Any,
    level: int,
    shape: Sequence[int],
    leaves: Callable[[list[Any]], list[Any]],
    found: list[Any],
) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {len(shape)}"
            )
        found += leaves([value])
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level == len(shape) - 1 and list not in set(map(type, value)):
        found += leaves(value)
        return
    for each in value:
        _fill(each, level + 1, shape, leaves, found)


def _string(value: Any) -> bytes:
    if isinstance(value, str | dict):
        return text_or_base64(value)
    raise _type_error(value, tf.string.as_datatype_enum)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _type_error(value: Any, enum: int) -> StatusError:
    kind = "True" if value is True else _TYPES[type(value)]
    return invalid_argument(
        f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {dtype_name(enum)}"
    )


def _beginning(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value[:_SHOWN]
    if isinstance(value, list):
        return [_beginning(each, depth - 1) for each in value[:8]] if depth else []
    if isinstance(value, dict):
        keys = list(value)[:8] if depth else []
        return {key[:_SHOWN]: _beginning(value[key], depth - 1) for key in keys}
    return value
