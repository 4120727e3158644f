"""The inputs of a model as TensorFlow Serving's REST API has them in JSON, with its error texts.

Source of the rules and the texts: tensorflow/serving 2.16, json_tensor.cc.
"""

import binascii
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

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
        raise _format_error(document, "Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the name of the signature that a request asks for; "" for the default one."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _format_error(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def read_tensors(
    document: Mapping[str, Any], infos: Mapping[str, TensorInfo]
) -> tuple[bool, dict[str, np.ndarray]]:
    """Reads the inputs of a request in either format.

    Args:
        document: Body of the request.
        infos: What the signature says of its inputs, by their aliases.

    Returns:
        Whether the request is in the row format, in which the answer has to be then, and the arrays by alias.

    Raises:
        StatusError: If the request is in neither format, or a value does not fit.
    """
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        raise _format_error(
            document,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if has_rows:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise _format_error(document, "Expecting 'instances' to be an list/array")
        if not rows:
            raise _format_error(document, "No values in 'instances' array")
        return True, _read_rows(rows, infos)
    if has_columns:
        return False, _read_columns(document["inputs"], infos)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


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


def text_or_base64(value: Any) -> bytes:
    """Returns the bytes of a JSON string, or of an object {"b64": STRING}."""
    if isinstance(value, str):
        return value.encode()
    if not _is_base64(value):
        raise invalid_argument(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
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


def _read_rows(rows: list[Any], infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if len(infos) > 1 and not isinstance(rows[0], dict):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    shapes: dict[str, list[int]] = {}
    values: dict[str, list[Any]] = {}
    are_objects = _is_object(rows[0])
    for number, row in enumerate(rows):
        if are_objects != _is_object(row):
            raise invalid_argument(
                f"Expecting object but got list at item {number} of input list"
                if are_objects
                else f"Expecting value/list but got object at item {number} of input list"
            )
        for alias, value in row.items() if are_objects else ((next(iter(infos)), row),):
            try:
                _add_row(alias, value, infos, shapes, values)
            except StatusError as error:
                key = f" key: {alias}" if are_objects else ""
                raise invalid_argument(
                    f"Failed to process element: {number}{key} of 'instances' list. Error: INVALID_ARGUMENT: "
                    f"{error.message}"
                ) from None
        if are_objects and row.keys() != infos.keys():
            raise invalid_argument(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(row)} keys must be "
                f"equal to: {','.join(sorted(infos))}"
            )
    return {alias: _array(values[alias], infos[alias].dtype, [len(rows), *shapes[alias]]) for alias in values}


def _add_row(
    alias: str,
    value: Any,
    infos: Mapping[str, TensorInfo],
    shapes: dict[str, list[int]],
    values: dict[str, list[Any]],
) -> None:
    if alias not in infos:
        raise invalid_argument(f"JSON object: does not have named input: {alias}")
    shape = _shape(value)
    found = flat_values(value, shape, _leaves(infos[alias].dtype))
    expected = shapes.setdefault(alias, shape)
    if shape != expected:
        sizes = int(np.prod(expected)), len(found)
        raise invalid_argument(
            f"Expecting tensor size: {sizes[0]} but got: {sizes[1]}"
            if sizes[0] != sizes[1]
            else f"Expecting shape {_brackets(expected)} but got: {_brackets(shape)}"
        )
    values.setdefault(alias, []).extend(found)


def _read_columns(inputs: Any, infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if not _is_object(inputs):
        if len(infos) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = dict.fromkeys(infos, inputs)
    arrays = {}
    for alias, info in infos.items():
        if alias not in inputs:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
        shape = _shape(inputs[alias])
        arrays[alias] = _array(flat_values(inputs[alias], shape, _leaves(info.dtype)), info.dtype, shape)
    return arrays


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
                f"JSON Value: {_shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
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


def _leaves(enum: int) -> Callable[[list[Any]], list[Any]]:
    """Makes what turns the JSON values of a tensor of that type into elements."""
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


def _string(value: Any) -> bytes:
    if isinstance(value, str | dict):
        return text_or_base64(value)
    raise _type_error(value, tf.string.as_datatype_enum)


def _array(values: list[Any], enum: int, shape: Sequence[int]) -> np.ndarray:
    if enum != tf.string.as_datatype_enum:
        return np.array(values, tf.as_dtype(enum).as_numpy_dtype).reshape(shape)
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise invalid_argument(f"the tensor has more than {MAX_RANK} dimensions")
        if not value:
            break
        value = value[0]
    return shape


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _type_error(value: Any, enum: int) -> StatusError:
    kind = "True" if value is True else _TYPES[type(value)]
    return invalid_argument(
        f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {dtype_name(enum)}"
    )


def _format_error(value: Any, problem: str) -> StatusError:
    return invalid_argument(f"JSON Value: {_shown(value)} {problem}")


def _shown(value: Any) -> str:
    """Returns the beginning of a value as JSON, however large it is."""
    return orjson.dumps(_beginning(value, 3)).decode()[:_SHOWN]


def _beginning(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value[:_SHOWN]
    if isinstance(value, list):
        return [_beginning(each, depth - 1) for each in value[:8]] if depth else []
    if isinstance(value, dict):
        keys = list(value)[:8] if depth else []
        return {key[:_SHOWN]: _beginning(value[key], depth - 1) for key in keys}
    return value


def _brackets(shape: Sequence[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
