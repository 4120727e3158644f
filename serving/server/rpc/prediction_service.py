"""Implements tensorflow.serving.PredictionService, as far as models of ours need it.

The texts of Classify, Regress and MultiInference are those of tensorflow/serving's classifier.cc, regressor.cc and
multi_inference.cc.
"""

from collections.abc import Sequence
from typing import NoReturn

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.model_runner import ModelRunner
from serving.server.models.model_lookup import lease, require_model_spec
from serving.server.predict_request import DEFAULT_SIGNATURE
from serving.server.status import RequestRecorder, StatusError, answers_with_status, invalid_argument
from serving.server.tensors import to_proto

_SIGNATURE_DEF = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers Predict and GetModelMetadata. Models of ours have no signature for the other methods, which say so.

    Every method takes the request and the time, by `time.monotonic()`, at which the client gives up, and raises
    StatusError where it refuses the request.

    Args:
        runner: Runs the models.
        recorders: Are told of every request.
        protocol: How the requests come, for the metrics.
    """

    def __init__(
        self, runner: ModelRunner, recorders: Sequence[RequestRecorder] = (), protocol: str = "grpc"
    ) -> None:
        self._runner = runner
        self._models = runner.models
        self.recorders = recorders
        self.protocol = protocol

    @answers_with_status
    def Predict(  # noqa: N802 (the API's name)
        self, request: predict_pb2.PredictRequest, deadline: float
    ) -> predict_pb2.PredictResponse:
        """Runs one signature on the request's tensors."""
        answer = self._runner.run(
            require_model_spec(request), request.inputs, request.output_filter, deadline
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = answer.model
        response.model_spec.version.value = answer.version
        response.model_spec.signature_name = answer.signature_name
        for alias, array in answer.outputs.items():
            response.outputs[alias].CopyFrom(to_proto(array))
        return response

    @answers_with_status
    def GetModelMetadata(  # noqa: N802 (the API's name)
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, deadline: float
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
        self, request: classification_pb2.ClassificationRequest, deadline: float
    ) -> classification_pb2.ClassificationResponse:
        """Says that the signature is not one for it."""
        self._refuse("classification", "classify", require_model_spec(request))

    @answers_with_status
    def Regress(  # noqa: N802 (the API's name)
        self, request: regression_pb2.RegressionRequest, deadline: float
    ) -> regression_pb2.RegressionResponse:
        """Says that the signature is not one for it."""
        self._refuse("regression", "regress", require_model_spec(request))

    @answers_with_status
    def MultiInference(  # noqa: N802 (the API's name)
        self, request: inference_pb2.MultiInferenceRequest, deadline: float
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
