"""TensorFlow Serving's REST API, version 1: https://www.tensorflow.org/tfx/serving/api_rest.

Source of the paths, the rules and the texts: tensorflow/serving 2.16, http_rest_api_handler.cc,
http_rest_api_util.cc.
"""

import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import google.protobuf
from google.protobuf import json_format
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    regression_pb2,
)
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.http.http_exchange import HttpReply, HttpRequest
from serving.server.http.json_outputs import dump_json, write_outputs
from serving.server.http.json_tensors import read_tensors, signature_name
from serving.server.http.json_values import parse_json
from serving.server.model_runner import ModelRunner
from serving.server.predict_request import NoSignatureError, Sent
from serving.server.rpc.model_service import ModelService
from serving.server.rpc.prediction_service import PredictionService
from serving.server.status import RequestRecorder, answers_with_status, invalid_argument

PREFIX = "/v1/"

_CHOICE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_CHOICE}(?:/(?P<part>metadata))?", re.IGNORECASE)

_MAX_VERSION = 2**63 - 1

_WITH_DEFAULTS = (
    "including_default_value_fields"
    if google.protobuf.__version__ < "5"
    else "always_print_fields_with_no_presence"
)
"""What protobuf calls the option to write fields that have their default value."""


@dataclass(frozen=True, kw_only=True)
class _RestRequest:
    """A request whose path has been read; `model_spec` is what the path says."""

    model_spec: ModelSpec
    http: HttpRequest


class RestApi:
    """Answers requests under /v1/.

    Args:
        runner: Runs the models.
        recorders: Are told of every request.
    """

    def __init__(self, runner: ModelRunner, recorders: Sequence[RequestRecorder] = ()) -> None:
        self._runner = runner
        self.recorders = recorders
        self.protocol = "rest"
        self._predictions = PredictionService(runner)
        self._models = ModelService(runner.models)

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answers a request; raises StatusError where it refuses it."""
        pattern = {"POST": _POST, "GET": _GET}.get(request.method)
        match = pattern.fullmatch(request.path) if pattern else None
        if match is None:
            raise invalid_argument(f"Malformed request: {request.method} {request.path}")
        found = match.groupdict()
        parsed = _RestRequest(model_spec=_model_spec(found), http=request)
        if request.method == "GET":
            if not parsed.model_spec.name:
                raise invalid_argument("Missing model name in request.")
            method = self.GetModelMetadata if found["part"] else self.GetModelStatus
        else:
            methods = {"predict": self.Predict, "classify": self.Classify, "regress": self.Regress}
            method = methods[found["method"].lower()]
        return HttpReply(body=method(parsed, request.deadline))

    @answers_with_status
    def Predict(self, request: _RestRequest, deadline: float) -> bytes:  # noqa: N802 (the API's name)
        """Runs one signature on rows (`instances`) or columns (`inputs`)."""
        document = parse_json(request.http.take_body())
        request.model_spec.signature_name = signature_name(document)
        is_row_format = False

        def inputs(signature: SignatureDef) -> Sent:
            nonlocal is_row_format
            is_row_format, arrays = read_tensors(document, signature.inputs)
            document.clear()  # its memory is needed
            return arrays

        try:
            answer = self._runner.run(request.model_spec, inputs, (), deadline)
        except NoSignatureError:
            name = request.model_spec.signature_name
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def') from None
        return write_outputs(answer.outputs, is_row_format)

    @answers_with_status
    def Classify(self, request: _RestRequest, deadline: float) -> bytes:  # noqa: N802 (the API's name)
        """Says that the signature is not one for it."""
        call = classification_pb2.ClassificationRequest(model_spec=_with_signature(request))
        return self._predictions.Classify(call, deadline)

    @answers_with_status
    def Regress(self, request: _RestRequest, deadline: float) -> bytes:  # noqa: N802 (the API's name)
        """Says that the signature is not one for it."""
        call = regression_pb2.RegressionRequest(model_spec=_with_signature(request))
        return self._predictions.Regress(call, deadline)

    @answers_with_status
    def GetModelStatus(self, request: _RestRequest, deadline: float) -> bytes:  # noqa: N802 (the API's name)
        """Answers with the state of one version, or of all, newest first."""
        call = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
        return _proto_json(self._models.GetModelStatus(call, deadline))

    @answers_with_status
    def GetModelMetadata(self, request: _RestRequest, deadline: float) -> bytes:  # noqa: N802 (the API's name)
        """Answers with the signatures of a version."""
        call = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=request.model_spec, metadata_field=["signature_def"]
        )
        response = self._predictions.GetModelMetadata(call, deadline)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return dump_json(
            {
                "model_spec": _proto_dict(response.model_spec),
                "metadata": {"signature_def": _proto_dict(signatures)},
            }
        )


def _model_spec(found: dict[str, str | None]) -> ModelSpec:
    spec = ModelSpec(name=urllib.parse.unquote(found["name"] or ""))
    if version := found["version"]:
        if int(version[:20]) > _MAX_VERSION:
            raise invalid_argument(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version)
    elif label := found["label"]:
        spec.version_label = urllib.parse.unquote(label)
    return spec


def _with_signature(request: _RestRequest) -> ModelSpec:
    request.model_spec.signature_name = signature_name(parse_json(request.http.take_body()))
    return request.model_spec


def _proto_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True, **{_WITH_DEFAULTS: True})


def _proto_json(message: Any) -> bytes:
    return dump_json(_proto_dict(message))
