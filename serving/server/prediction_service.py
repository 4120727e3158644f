"""tensorflow.serving.PredictionService, as far as models of ours need it.

Source of the texts of Classify, Regress and MultiInference: tensorflow/serving's classifier.cc, regressor.cc and
multi_inference.cc.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.batched_servable import BatchedServable
from serving.server.model_lookup import lease, require_model_spec
from serving.server.model_manager import ModelManager, Runner
from serving.server.predict_request import (
    DEFAULT_SIGNATURE,
    RequestLimits,
    find_signature,
    read_inputs,
    wanted_outputs,
)
from serving.server.server_metrics import ServerMetrics
from serving.server.status import StatusError, answers_with_status, invalid_argument
from serving.server.tensors import to_proto

_SIGNATURE_DEF = "signature_def"

_LONGEST = 86_400.0
"""Seconds that a request may wait."""


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata. Models of ours have no signature for the other methods, which say so.

    Args:
        models: By name.
        metrics: Where requests are counted.
        limits: Of what one Predict may ask for.
    """

    def __init__(
        self,
        models: Mapping[str, ModelManager],
        metrics: ServerMetrics | None = None,
        limits: RequestLimits | None = None,
    ) -> None:
        self._models = models
        self.metrics = metrics
        self._limits = limits

    @answers_with_status
    def Predict(  # noqa: N802 (the API's name)
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Runs one signature on the request's tensors."""
        with lease(self._models, require_model_spec(request)) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = find_signature(servable.signatures, name)
            feeds = read_inputs(signature, request, self._limits)
            outputs = wanted_outputs(signature, request)
            arrays = _run(servable, feeds, [signature.outputs[alias].name for alias in outputs], context)
            response = predict_pb2.PredictResponse()
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
            response.model_spec.signature_name = name
            for alias, array in zip(outputs, arrays, strict=True):
                response.outputs[alias].CopyFrom(to_proto(array))
            return response

    @answers_with_status
    def GetModelMetadata(  # noqa: N802 (the API's name)
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers with the signatures of a version."""
        spec = require_model_spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        with lease(self._models, spec) as servable:
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
            response.metadata[_SIGNATURE_DEF].Pack(signatures)
            return response

    @answers_with_status
    def Classify(  # noqa: N802 (the API's name)
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        """Says that the signature is not one for it."""
        self._refuse("classification", "classify", require_model_spec(request))

    @answers_with_status
    def Regress(  # noqa: N802 (the API's name)
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        """Says that the signature is not one for it."""
        self._refuse("regression", "regress", require_model_spec(request))

    @answers_with_status
    def MultiInference(  # noqa: N802 (the API's name)
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        """Says of the first task why it cannot be run."""
        if not request.tasks:
            raise invalid_argument("Missing ModelSpec")
        task = request.tasks[0]
        spec = require_model_spec(task)
        with lease(self._models, spec) as servable:
            name = spec.signature_name or DEFAULT_SIGNATURE
            if name not in servable.signatures:
                raise invalid_argument(f"Requested signature not found in model graph: {name}")
        kinds = {
            "tensorflow/serving/classify": ("classification", "classify"),
            "tensorflow/serving/regress": ("regression", "regress"),
        }
        if task.method_name not in kinds:
            raise StatusError(
                grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
            )
        self._refuse(*kinds[task.method_name], spec)

    def _refuse(self, kind: str, method: str, spec: ModelSpec) -> NoReturn:
        with lease(self._models, spec) as servable:
            name = spec.signature_name or DEFAULT_SIGNATURE
            if name not in servable.signatures:
                raise invalid_argument(f"No signature was found with the name: {name}")
            given = servable.signatures[name].method_name
        wanted = f"tensorflow/serving/{method}"
        if given != wanted:
            raise invalid_argument(f"Expected {kind} signature method_name to be {wanted}. Was: {given}")
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"this server does not run {kind} signatures")


def _run(
    servable: Runner,
    feeds: Mapping[str, np.ndarray],
    fetches: Sequence[str],
    context: grpc.ServicerContext,
) -> list[np.ndarray]:
    remaining = context.time_remaining()  # without a deadline None, or more than any clock can hold
    remaining = _LONGEST if remaining is None else min(remaining, _LONGEST)
    if not context.is_active() or remaining <= 0:
        raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request's turn")
    if isinstance(servable, BatchedServable):
        return servable.run(feeds, fetches, remaining)
    return servable.run(feeds, fetches)
