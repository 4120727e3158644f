"""The outputs of a model as TensorFlow Serving's REST API writes them in JSON.

Source of the rules and the texts: tensorflow/serving 2.16, json_tensor.cc.
"""

import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from serving.server.status import invalid_argument

BYTES_SUFFIX = "_bytes"
"""End of the alias of an output whose strings are written as {"b64": ...}."""


def write_outputs(outputs: Mapping[str, np.ndarray], is_row_format: bool) -> bytes:
    """Writes an answer in the row format (`predictions`) or in the column format (`outputs`).

    Raises:
        StatusError: If the row format is asked for and the outputs are not a row a video.
    """
    if not is_row_format:
        values = {alias: _json_value(alias, array) for alias, array in outputs.items()}
        return dump_json({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    rows = None
    for alias, array in outputs.items():
        if not array.ndim:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if rows not in (None, len(array)):
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {rows}"
            )
        rows = len(array)
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return dump_json({"predictions": _json_value(alias, array)})
    return dump_json(
        {
            "predictions": [
                {alias: _json_value(alias, array[row]) for alias, array in outputs.items()}
                for row in range(rows or 0)
            ]
        }
    )


def dump_json(document: Any) -> bytes:
    """Writes JSON, arrays of numbers included."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _json_value(alias: str, array: Any) -> Any:
    """Makes of an output, or of a row of one, what `dump_json` writes as TensorFlow Serving does."""
    array = np.asarray(array, object if isinstance(array, bytes) else None)  # a row may be a single value
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return orjson.Fragment(json.dumps(array.tolist()))  # with NaN and Infinity, which are no JSON
    if array.dtype != object:
        return np.asarray(array, order="C") if array.ndim else array[()]
    if alias.endswith(BYTES_SUFFIX):
        return _nested(
            array.tolist(), lambda data: {"b64": binascii.b2a_base64(data, newline=False).decode()}
        )
    return _nested(array.tolist(), lambda data: data.decode(errors="replace"))


def _nested(values: Any, write: Callable[[bytes], Any]) -> Any:
    return [_nested(each, write) for each in values] if isinstance(values, list) else write(values)
