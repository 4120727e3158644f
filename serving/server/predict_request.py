"""The checks of a PredictRequest against a signature, in TensorFlow Serving's order and words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.server.status import StatusError, invalid_argument
from serving.server.tensors import MAX_BYTES, dtype_name, to_array

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What a single request may ask for: a few bytes can declare tensors of any size, and a video of one frame takes as
    much memory in a model as the longest.

    Attributes:
        max_bytes: Of one tensor.
        max_videos: Rows of tensors whose number of rows the signature leaves open.
    """

    max_bytes: int = MAX_BYTES
    max_videos: int = 1024


_METHODS = [f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")]


def find_signature(signatures: dict[str, SignatureDef], name: str) -> SignatureDef:
    """The signature of that name, if one can predict with it.

    Raises:
        StatusError: If there is no such one, or it is for TensorFlow's own use.
    """
    if name not in signatures:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    method = signatures[name].method_name
    if method not in _METHODS:
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            f"Expected prediction signature method_name to be one of {_set(_METHODS)}. Was: {method}",
        )
    return signatures[name]


def read_inputs(
    signature: SignatureDef, request: PredictRequest, limits: RequestLimits | None = None
) -> dict[str, np.ndarray]:
    """The request's arrays by tensor name.

    Raises:
        StatusError: If there are too many or too few, or one is malformed, too large or of the wrong type.
    """
    limits = limits or RequestLimits()
    sent, needed = set(request.inputs), set(signature.inputs)
    if len(sent) != len(needed):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(needed)} "
            f"len({_set(sent)}) != len({_set(needed)}). "
            f"Sent extra: {_set(sent - needed)}. Missing but required: {_set(needed - sent)}."
        )
    for alias in sorted(needed - sent):
        raise invalid_argument(
            f"Signature input alias: {alias}(feed name: {signature.inputs[alias].name}) not found in "
            "request and no default value provided. Inputs expected to be in the request "
            f"{_set(sent)}, or default input alias set: "
        )
    arrays = {
        signature.inputs[alias].name: _parse(alias, request.inputs[alias], limits.max_bytes)
        for alias in sorted(needed)
    }
    _check_types(signature, request)
    _check_rows(signature, arrays, limits.max_videos)
    return arrays


def wanted_outputs(signature: SignatureDef, request: PredictRequest) -> list[str]:
    """Aliases of the outputs to be answered with, sorted: the request's filter, or all.

    Raises:
        StatusError: If the filter has an unknown or a repeated one.
    """
    seen: list[str] = []
    for alias in request.output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return sorted(seen or signature.outputs)


def _parse(alias: str, proto: tensor_pb2.TensorProto, max_bytes: int) -> np.ndarray:
    try:
        return to_array(proto, max_bytes)
    except ValueError:
        raise invalid_argument(f"tensor parsing error: {alias}") from None


def _check_types(signature: SignatureDef, request: PredictRequest) -> None:
    # The number in the text is the tensor's place in the order of tensor names, which is how a session
    # numbers feeds.
    for place, alias in enumerate(sorted(request.inputs, key=lambda alias: signature.inputs[alias].name)):
        wanted, given = signature.inputs[alias].dtype, request.inputs[alias].dtype
        if wanted != given:
            raise invalid_argument(
                f"Expects arg[{place}] to be {dtype_name(wanted)} but {dtype_name(given)} is provided"
            )


def _check_rows(signature: SignatureDef, arrays: Mapping[str, np.ndarray], most: int) -> None:
    for info in signature.inputs.values():
        sizes, array = [dim.size for dim in info.tensor_shape.dim], arrays[info.name]
        if sizes[:1] == [-1] and array.ndim and array.shape[0] > most:
            raise invalid_argument(
                f"Task size {array.shape[0]} is larger than maximum input batch size {most}"
            )


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
