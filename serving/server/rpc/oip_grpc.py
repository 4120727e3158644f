"""The Open Inference Protocol over gRPC."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from serving.base.oip_messages import MESSAGES, OIP_SERVICE
from serving.server.oip import (
    BYTES,
    EXTENSIONS,
    SERVER_NAME,
    SIGNATURE,
    ModelMetadata,
    Oip,
    datatype_of,
    from_binary,
    model_spec,
    to_binary,
    typed_array,
)
from serving.server.status import RequestRecorder, answers_with_status, invalid_argument

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field of InferTensorContents that has the elements of a type. FP16 has none: it comes as raw bytes only."""

_METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


class OipGrpc:
    """Answers the methods of inference.GRPCInferenceService.

    Each takes the request and the time, by `time.monotonic()`, at which the client gives up, and raises StatusError
    where it refuses the request.

    Args:
        oip: Answers what is asked.
        recorders: Are told of every request.
    """

    def __init__(self, oip: Oip, recorders: Sequence[RequestRecorder] = ()) -> None:
        self._oip = oip
        self.recorders = recorders
        self.protocol = "oip-grpc"

    def handler(self) -> grpc.GenericRpcHandler:
        """Makes what a gRPC server finds the methods by."""
        return grpc.method_handlers_generic_handler(
            OIP_SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    getattr(self, name),
                    request_deserializer=MESSAGES[f"{name}Request"].FromString,
                    response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
                )
                for name in _METHODS
            },
        )

    @answers_with_status
    def ServerLive(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Says that the server lives."""
        return MESSAGES["ServerLiveResponse"](live=True)

    @answers_with_status
    def ServerReady(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Says whether the server takes requests."""
        return MESSAGES["ServerReadyResponse"](ready=self._oip.is_ready())

    @answers_with_status
    def ModelReady(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Says whether a version of a model takes requests."""
        ready = self._oip.is_model_ready(request.name, request.version)
        return MESSAGES["ModelReadyResponse"](ready=ready)

    @answers_with_status
    def ServerMetadata(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Says what the server is."""
        return MESSAGES["ServerMetadataResponse"](
            name=SERVER_NAME, version=self._oip.server_version(), extensions=EXTENSIONS
        )

    @answers_with_status
    def ModelMetadata(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Describes the default signature of a version."""
        return _metadata_message(self._oip.metadata(request.name, request.version))

    @answers_with_status
    def ModelInfer(self, request: Any, deadline: float) -> Any:  # noqa: N802 (the API's name)
        """Runs one signature on the request's tensors. The answer is in raw bytes where the request is."""
        is_raw = bool(request.raw_input_contents)
        signature = request.parameters[SIGNATURE].string_param if SIGNATURE in request.parameters else ""
        spec = model_spec(request.model_name, request.model_version, signature)
        outputs = [output.name for output in request.outputs]
        answer = self._oip.infer(spec, _read_inputs(request), outputs, deadline)
        response = MESSAGES["ModelInferResponse"](
            model_name=answer.model, model_version=str(answer.version), id=request.id
        )
        for alias, array in answer.outputs.items():
            datatype = datatype_of(array)
            tensor = response.outputs.add(name=alias, datatype=datatype, shape=array.shape)
            if is_raw or datatype not in _CONTENTS:
                response.raw_output_contents.append(to_binary(array))
            else:
                getattr(tensor.contents, _CONTENTS[datatype]).extend(array.ravel().tolist())
        return response


def _read_inputs(request: Any) -> Mapping[str, np.ndarray]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid_argument(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents")
    arrays: dict[str, np.ndarray] = {}
    for place, tensor in enumerate(request.inputs):
        name, datatype, shape = tensor.name, tensor.datatype, list(tensor.shape)
        if name in arrays:
            raise invalid_argument(f"input '{name}' is there twice")
        if raw:
            arrays[name] = from_binary(name, datatype, shape, raw[place])
        elif datatype in _CONTENTS:
            values = getattr(tensor.contents, _CONTENTS[datatype])
            arrays[name] = typed_array(name, datatype, shape, values)
        else:
            raise invalid_argument(
                f"input '{name}' of datatype '{datatype}' has to come in raw_input_contents"
            )
    return arrays


def _metadata_message(metadata: ModelMetadata) -> Any:
    message = MESSAGES["ModelMetadataResponse"](
        name=metadata.name, versions=metadata.versions, platform=metadata.platform
    )
    for described, tensors in ((message.inputs, metadata.inputs), (message.outputs, metadata.outputs)):
        for tensor in tensors:
            described.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    return message
