"""The checks of a prediction's inputs and outputs against a signature, in TensorFlow Serving's order and words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from serving.server.status import StatusError, invalid_argument
from serving.server.tensors import MAX_BYTES, dtype_name, to_array

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Bounds what a single request may ask for.

    The bytes of a request do not bound it: a few bytes can declare tensors of any size, and a video of one frame takes
    as much memory in a model as the longest.

    Attributes:
        max_bytes: Most bytes that one tensor may take.
        max_videos: Most rows of a tensor whose number of rows the signature leaves open.
    """

    max_bytes: int = MAX_BYTES
    max_videos: int = 1024


Sent = Mapping[str, tensor_pb2.TensorProto] | Mapping[str, np.ndarray]
"""The tensors of a request, by their aliases in the signature."""

_METHODS = [f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")]


class NoSignatureError(StatusError):
    """The model has no signature of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')


def find_signature(signatures: dict[str, SignatureDef], name: str) -> SignatureDef:
    """Returns the signature of that name, if one can predict with it.

    Raises:
        NoSignatureError: If there is no such one.
        StatusError: If it is for TensorFlow's own use.
    """
    if name not in signatures:
        raise NoSignatureError(name)
    method = signatures[name].method_name
    if method not in _METHODS:
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            f"Expected prediction signature method_name to be one of {_set(_METHODS)}. Was: {method}",
        )
    return signatures[name]


def read_inputs(
    signature: SignatureDef, inputs: Sent, limits: RequestLimits | None = None
) -> dict[str, np.ndarray]:
    """Reads the inputs of a request.

    Args:
        signature: The signature that the request is for.
        inputs: What was sent, as TensorProtos, of which nothing is trusted, or as arrays.
        limits: Bounds what the request may ask for; None stands for the defaults.

    Returns:
        The arrays, by the names of the tensors in the graph.

    Raises:
        StatusError: If there are too many or too few, or one is malformed, too large or of the wrong type.
    """
    limits = limits or RequestLimits()
    sent, needed = set(inputs), set(signature.inputs)
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
        signature.inputs[alias].name: _parse(alias, inputs[alias], limits.max_bytes)
        for alias in sorted(needed)
    }
    _check_types(signature, inputs)
    _check_rows(signature, arrays, limits.max_videos)
    return arrays


def wanted_outputs(signature: SignatureDef, output_filter: Sequence[str]) -> list[str]:
    """Returns the aliases of the outputs to be answered with, sorted: those of the request's filter, or all.

    Raises:
        StatusError: If the filter has an unknown or a repeated one.
    """
    seen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return sorted(seen or signature.outputs)


def _parse(alias: str, sent: tensor_pb2.TensorProto | np.ndarray, max_bytes: int) -> np.ndarray:
    if isinstance(sent, np.ndarray):
        return sent
    try:
        return to_array(sent, max_bytes)
    except ValueError:
        raise invalid_argument(f"tensor parsing error: {alias}") from None


def _check_types(signature: SignatureDef, inputs: Sent) -> None:
    # The number in the text is the tensor's place in the order of tensor names, which is how a session
    # numbers feeds.
    for place, alias in enumerate(sorted(inputs, key=lambda alias: signature.inputs[alias].name)):
        wanted, given = signature.inputs[alias].dtype, _type_number(inputs[alias])
        if wanted != given:
            raise invalid_argument(
                f"Expects arg[{place}] to be {dtype_name(wanted)} but {dtype_name(given)} is provided"
            )


def _type_number(sent: tensor_pb2.TensorProto | np.ndarray) -> int:
    return tf.as_dtype(sent.dtype).as_datatype_enum if isinstance(sent, np.ndarray) else sent.dtype


def _check_rows(signature: SignatureDef, arrays: Mapping[str, np.ndarray], most: int) -> None:
    for alias, info in signature.inputs.items():
        sizes, array = [dim.size for dim in info.tensor_shape.dim], arrays[info.name]
        if sizes and not array.ndim:
            # TensorFlow's own text for it speaks of slices within the graph.
            raise invalid_argument(
                f"input {alias} is a single value, and a tensor of {len(sizes)} dimension(s) is needed: send a list"
            )
        if sizes[:1] == [-1] and array.ndim and array.shape[0] > most:
            raise invalid_argument(
                f"Task size {array.shape[0]} is larger than maximum input batch size {most}"
            )


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
