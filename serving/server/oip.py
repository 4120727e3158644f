"""The Open Inference Protocol, version 2, whichever way its requests come.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol.
"""

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.model_runner import Answer, ModelRunner
from serving.server.models.model_lookup import lease
from serving.server.predict_request import DEFAULT_SIGNATURE, find_signature
from serving.server.status import StatusError, invalid_argument
from serving.server.tensors import MAX_BYTES, MAX_RANK

SERVER_NAME = "yt8m"
PLATFORM = "tensorflow_savedmodel"
EXTENSIONS = ("binary_tensor_data",)
"""What of Triton's extensions the server speaks over HTTP:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md."""

SIGNATURE = "signature_name"
"""Name of the parameter of a request that chooses another signature than the default one."""

BYTES = "BYTES"

_NUMPY = {
    "BOOL": np.bool_,
    **{f"UINT{bits}": np.dtype(f"uint{bits}").type for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"int{bits}").type for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}").type for bits in (16, 32, 64)},
}
_NAMES = {np.dtype(kind): name for name, kind in _NUMPY.items()} | {np.dtype(object): BYTES}


@dataclass(frozen=True, kw_only=True)
class TensorMetadata:
    """What is said of an input or an output.

    Attributes:
        name: Its alias in the signature.
        datatype: The protocol's name of its type.
        shape: Its lengths; -1 for any.
    """

    name: str
    datatype: str
    shape: list[int]


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What is said of a model.

    Attributes:
        name: The name that it is asked for by.
        versions: Numbers of the versions that take requests.
        platform: Its kind.
        inputs: The inputs of its default signature.
        outputs: The outputs of that signature.
    """

    name: str
    versions: list[str]
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    platform: str = PLATFORM


class Oip:
    """Answers what the protocol asks.

    Args:
        runner: Runs the models.
        is_ready: Says whether the server takes requests.
    """

    def __init__(self, runner: ModelRunner, is_ready: Callable[[], bool]) -> None:
        self._runner = runner
        self.is_ready = is_ready

    @staticmethod
    def server_version() -> str:
        """Returns the version of this project."""
        return importlib.metadata.version("yt8m")

    def is_model_ready(self, name: str, version: str) -> bool:
        """Whether a model, and the version of that number or label, takes requests; the newest where it is empty."""
        if name not in self._runner.models:
            return False
        try:
            with lease(self._runner.models, model_spec(name, version)):
                return True
        except StatusError:
            return False

    def metadata(self, name: str, version: str) -> ModelMetadata:
        """Describes the default signature of a version; raises StatusError if it is not loaded."""
        with lease(self._runner.models, model_spec(name, version)) as servable:
            signature = find_signature(servable.signatures, DEFAULT_SIGNATURE)
        numbers = self._runner.models[name].loaded_versions()
        return ModelMetadata(
            name=name,
            versions=[str(number) for number in numbers],
            inputs=list(_described(signature.inputs)),
            outputs=list(_described(signature.outputs)),
        )

    def infer(
        self,
        spec: ModelSpec,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        deadline: float,
    ) -> Answer:
        """Runs a model; raises StatusError where it refuses the request."""
        return self._runner.run(spec, inputs, outputs, deadline)


def model_spec(name: str, version: str, signature: str = "") -> ModelSpec:
    """Makes the ModelSpec of a request. A version that is no number is taken for a label."""
    spec = ModelSpec(name=name, signature_name=signature)
    if version.isdecimal():
        if int(version[:20]) >= 2**63:
            raise invalid_argument(f"the version {version} is no number of a version")
        spec.version.value = int(version)
    elif version:
        spec.version_label = version
    return spec


def check_tensor(name: str, datatype: str, shape: Sequence[int], max_bytes: int = MAX_BYTES) -> int:
    """Checks what a request says of an input before its elements are read.

    Returns:
        The number of its elements.

    Raises:
        StatusError: If the protocol has no such type, or the shape is none or too large.
    """
    if datatype != BYTES and datatype not in _NUMPY:
        raise invalid_argument(f"input '{name}' has an unknown datatype '{datatype}'")
    if len(shape) > MAX_RANK or any(length < 0 for length in shape):
        raise invalid_argument(f"input '{name}' has a shape that is none: {list(shape)[:MAX_RANK]}")
    elements = math.prod(shape)
    if elements * (32 if datatype == BYTES else np.dtype(_NUMPY[datatype]).itemsize) > max_bytes:
        raise invalid_argument(f"input '{name}' is too large")
    return elements


def element_type(datatype: str) -> np.dtype:
    """Returns the type of a tensor's elements; object for BYTES."""
    return np.dtype(_NUMPY.get(datatype, object))


def typed_array(name: str, datatype: str, shape: Sequence[int], values: Sequence[object]) -> np.ndarray:
    """Makes an array of its elements; raises StatusError if they are of another number or type."""
    if len(values) != check_tensor(name, datatype, shape):
        raise invalid_argument(
            f"input '{name}' has {len(values)} elements, and its shape {list(shape)} another number"
        )
    array = np.empty(len(values), element_type(datatype))
    try:
        if array.dtype.kind in "iu" and len(values):
            limits = np.iinfo(array.dtype)
            if min(values) < limits.min or max(values) > limits.max:
                raise OverflowError
        array[:] = values
    except (TypeError, ValueError, OverflowError):
        raise invalid_argument(f"input '{name}' has elements that are not {datatype}") from None
    return array.reshape(shape)


def from_binary(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> np.ndarray:
    """Reads a tensor of raw bytes: little endian, and each element of BYTES after its length in four bytes.

    Raises:
        StatusError: If the bytes are not those of such a tensor.
    """
    elements = check_tensor(name, datatype, shape)
    if datatype != BYTES:
        dtype = element_type(datatype).newbyteorder("<")
        if len(data) != elements * dtype.itemsize:
            raise invalid_argument(
                f"input '{name}' has {len(data)} bytes, and its shape and datatype {elements * dtype.itemsize}"
            )
        return np.frombuffer(data, dtype).astype(element_type(datatype), copy=False).reshape(shape)
    array, place = np.empty(elements, object), 0
    for index in range(elements):
        end = place + 4 + int.from_bytes(data[place : place + 4], "little")
        if place + 4 > len(data) or end > len(data):
            raise invalid_argument(f"input '{name}' has fewer bytes than its elements say")
        array[index] = bytes(data[place + 4 : end])
        place = end
    if place != len(data):
        raise invalid_argument(f"input '{name}' has more bytes than its elements say")
    return array.reshape(shape)


def to_binary(array: np.ndarray) -> bytes:
    """Writes a tensor as raw bytes, as `from_binary` reads it."""
    if array.dtype != object:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return b"".join(
        part for value in array.ravel().tolist() for part in (len(value).to_bytes(4, "little"), value)
    )


def datatype_of(array: np.ndarray) -> str:
    """Returns the protocol's name of an array's type; raises StatusError if it has none."""
    name = _NAMES.get(array.dtype)
    if name is None:
        raise invalid_argument(f"the protocol has no datatype for {array.dtype}")
    return name


def _described(infos: Mapping[str, TensorInfo]) -> Iterator[TensorMetadata]:
    for alias, info in sorted(infos.items()):
        dtype = np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
        shape = [dim.size for dim in info.tensor_shape.dim]
        yield TensorMetadata(name=alias, datatype=_NAMES.get(dtype, str(dtype)), shape=shape)
