"""The Open Inference Protocol over HTTP, with tensors in JSON or, by Triton's binary data extension, as raw bytes."""

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.http.http_exchange import HttpReply, HttpRequest
from serving.server.http.json_outputs import dump_json
from serving.server.http.json_values import base64_bytes, flat_values, parse_json
from serving.server.oip import (
    BYTES,
    EXTENSIONS,
    SERVER_NAME,
    SIGNATURE,
    Oip,
    check_tensor,
    datatype_of,
    from_binary,
    model_spec,
    to_binary,
    typed_array,
)
from serving.server.status import RequestRecorder, StatusError, answers_with_status, invalid_argument

PREFIX = re.compile(r"/v2([/?].*)?")
"""What the paths of the protocol begin with."""

_MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<part>ready|infer))?/?"
)

_JSON_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON, where raw tensors follow."""

_BINARY = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class _ModelRequest:
    """A request whose path has been read; `model_spec` is what the path says."""

    model_spec: ModelSpec
    version: str
    http: HttpRequest


class OipRest:
    """Answers requests under /v2.

    Args:
        oip: Answers what is asked.
        recorders: Are told of every request.
    """

    def __init__(self, oip: Oip, recorders: Sequence[RequestRecorder] = ()) -> None:
        self._oip = oip
        self.recorders = recorders
        self.protocol = "oip-rest"

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answers a request; raises StatusError where it refuses it."""
        path = request.path.rstrip("/")
        server = {
            "/v2": self.ServerMetadata,
            "/v2/health/live": self.ServerLive,
            "/v2/health/ready": self.ServerReady,
        }
        if path in server and request.method == "GET":
            return server[path](request, request.deadline)
        match = _MODEL.fullmatch(request.path)
        part = match and match["part"]
        if match is None or request.method != ("POST" if part == "infer" else "GET"):
            raise StatusError(
                grpc.StatusCode.NOT_FOUND, f"there is no {request.method} {request.path} in this protocol"
            )
        name, version = (urllib.parse.unquote(match[key] or "") for key in ("name", "version"))
        parsed = _ModelRequest(model_spec=model_spec(name, version), version=version, http=request)
        methods = {"ready": self.ModelReady, "infer": self.ModelInfer, None: self.ModelMetadata}
        return methods[part](parsed, request.deadline)

    @answers_with_status
    def ServerLive(self, request: HttpRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Says that the server lives."""
        return HttpReply(body=dump_json({"live": True}))

    @answers_with_status
    def ServerReady(self, request: HttpRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Says whether the server takes requests: 200 or 503."""
        ready = self._oip.is_ready()
        return HttpReply(body=dump_json({"ready": ready}), status=200 if ready else 503)

    @answers_with_status
    def ServerMetadata(self, request: HttpRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Says what the server is."""
        document = {
            "name": SERVER_NAME,
            "version": self._oip.server_version(),
            "extensions": EXTENSIONS,
        }
        return HttpReply(body=dump_json(document))

    @answers_with_status
    def ModelReady(self, request: _ModelRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Says whether a version of a model takes requests: 200 or 404."""
        name = request.model_spec.name
        ready = self._oip.is_model_ready(name, request.version)
        return HttpReply(body=dump_json({"name": name, "ready": ready}), status=200 if ready else 404)

    @answers_with_status
    def ModelMetadata(self, request: _ModelRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Describes the default signature of a version."""
        metadata = self._oip.metadata(request.model_spec.name, request.version)
        return HttpReply(body=dump_json(dataclasses.asdict(metadata)))

    @answers_with_status
    def ModelInfer(self, request: _ModelRequest, deadline: float) -> HttpReply:  # noqa: N802 (the API's name)
        """Runs one signature on the request's tensors."""
        document, raw = _split(request.http)
        parameters = _object(document, "parameters")
        spec = request.model_spec
        spec.signature_name = _text(parameters, SIGNATURE)
        wanted = _objects(document, "outputs")
        names = [_text(output, "name") for output in wanted]
        inputs = _read_inputs(_objects(document, "inputs"), raw)
        identity = document.get("id")
        document.clear()  # its memory is needed
        answer = self._oip.infer(spec, inputs, names, deadline)
        by_default = parameters.get("binary_data_output") is True
        binary = {
            name: _object(output, "parameters").get("binary_data", by_default) is True
            for name, output in zip(names, wanted, strict=True)
        }
        head = {"model_name": answer.model, "model_version": str(answer.version), "outputs": []}
        if isinstance(identity, str):
            head["id"] = identity
        blobs: list[bytes] = []
        for alias, array in answer.outputs.items():
            tensor = {"name": alias, "datatype": datatype_of(array), "shape": array.shape}
            if binary.get(alias, by_default):
                blobs.append(to_binary(array))
                tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
            elif array.dtype == object:
                tensor["data"] = [value.decode(errors="replace") for value in array.ravel().tolist()]
            else:
                tensor["data"] = np.ascontiguousarray(array).ravel()
            head["outputs"].append(tensor)
        text = dump_json(head)
        if not blobs:
            return HttpReply(body=text)
        return HttpReply(
            body=b"".join([text, *blobs]), content_type=_BINARY, headers={_JSON_LENGTH: str(len(text))}
        )


def _split(request: HttpRequest) -> tuple[dict[str, Any], memoryview]:
    """Returns the JSON of a body, and the raw tensors behind it."""
    body = memoryview(request.take_body())
    length = request.headers.get(_JSON_LENGTH, str(len(body)))
    if not length.isdecimal() or int(length[:20]) > len(body):
        raise invalid_argument(f"{_JSON_LENGTH} is {length[:20]!r}, and the body has {len(body)} bytes")
    return parse_json(body[: int(length)]), body[int(length) :]


def _read_inputs(tensors: Sequence[Mapping[str, Any]], raw: memoryview) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for tensor in tensors:
        name, datatype, shape = _text(tensor, "name"), _text(tensor, "datatype"), tensor.get("shape")
        if name in arrays:
            raise invalid_argument(f"input '{name}' is there twice")
        if not isinstance(shape, list) or any(type(length) is not int for length in shape):
            raise invalid_argument(f"input '{name}' has no shape, a list of whole numbers")
        parameters = _object(tensor, "parameters")
        if "binary_data_size" in parameters:
            size = parameters["binary_data_size"]
            if type(size) is not int or not 0 <= size <= len(raw):
                raise invalid_argument(f"input '{name}' has a binary_data_size that the body does not have")
            arrays[name] = from_binary(name, datatype, shape, raw[:size])
            raw = raw[size:]
        else:
            arrays[name] = _from_json(name, datatype, shape, tensor.get("data"), parameters)
    if len(raw):
        raise invalid_argument(f"the body has {len(raw)} bytes that belong to no input")
    return arrays


def _from_json(
    name: str, datatype: str, shape: Sequence[int], data: Any, parameters: Mapping[str, Any]
) -> np.ndarray:
    elements = check_tensor(name, datatype, shape)
    if not isinstance(data, list):
        raise invalid_argument(f"input '{name}' has no data, a list")
    # Both are allowed: the elements one after the other, or lists in lists.
    values = flat_values(data, shape if any(map(_is_list, data[:1])) else [elements], list)
    if datatype == BYTES:
        if any(not isinstance(value, str) for value in values):
            raise invalid_argument(f"input '{name}' has elements that are not {datatype}")
        is_base64 = parameters.get("content_type") == "base64"
        values = [base64_bytes(value) if is_base64 else value.encode() for value in values]
    elif not set(map(type, values)) <= ({bool} if datatype == "BOOL" else _number_types(datatype)):
        raise invalid_argument(f"input '{name}' has elements that are not {datatype}")
    return typed_array(name, datatype, shape, values)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _number_types(datatype: str) -> set[type]:
    return {int, float} if datatype.startswith("FP") else {int}


def _object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise invalid_argument(f"'{key}' is an object")
    return value


def _objects(document: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = document.get(key, [])
    if not isinstance(value, list) or any(not isinstance(each, dict) for each in value):
        raise invalid_argument(f"'{key}' is a list of objects")
    return value


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise invalid_argument(f"'{key}' is a string")
    return value
