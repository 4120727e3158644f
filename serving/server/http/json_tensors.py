"""The inputs of a model as TensorFlow Serving's REST API has them in JSON, in rows or in columns.

Source of the rules and the texts: tensorflow/serving 2.16, json_tensor.cc.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from serving.server.http.json_values import (
    array_of,
    flat_values,
    format_error,
    is_object,
    leaves_of,
    shape_of,
    shown,
)
from serving.server.status import StatusError, invalid_argument


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the name of the signature that a request asks for; "" for the default one."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise format_error(document, "not formatted correctly. 'signature_name' key must be a string value.")
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
        raise format_error(
            document,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if has_rows:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise format_error(document, "Expecting 'instances' to be an list/array")
        if not rows:
            raise format_error(document, "No values in 'instances' array")
        return True, _read_rows(rows, infos)
    if has_columns:
        return False, _read_columns(document["inputs"], infos)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _read_rows(rows: list[Any], infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if len(infos) > 1 and not isinstance(rows[0], dict):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    shapes: dict[str, list[int]] = {}
    values: dict[str, list[Any]] = {}
    are_objects = is_object(rows[0])
    for number, row in enumerate(rows):
        if are_objects != is_object(row):
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
                f"Failed to process element: {number} of 'instances' list. JSON object: {shown(row)} keys must be "
                f"equal to: {','.join(sorted(infos))}"
            )
    return {
        alias: array_of(values[alias], infos[alias].dtype, [len(rows), *shapes[alias]]) for alias in values
    }


def _add_row(
    alias: str,
    value: Any,
    infos: Mapping[str, TensorInfo],
    shapes: dict[str, list[int]],
    values: dict[str, list[Any]],
) -> None:
    if alias not in infos:
        raise invalid_argument(f"JSON object: does not have named input: {alias}")
    shape = shape_of(value)
    found = flat_values(value, shape, leaves_of(infos[alias].dtype))
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
    if not is_object(inputs):
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
        shape = shape_of(inputs[alias])
        arrays[alias] = array_of(flat_values(inputs[alias], shape, leaves_of(info.dtype)), info.dtype, shape)
    return arrays


def _brackets(shape: Sequence[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
