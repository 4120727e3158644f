"""tensorflow.serving.PredictionService, as far as models of ours need it."""

from collections.abc import Mapping

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.model_lookup import lease, require_model_spec
from serving.model_manager import ModelManager
from serving.predict_request import DEFAULT_SIGNATURE, find_signature, read_inputs, wanted_outputs
from serving.status import answers_with_status, invalid_argument
from serving.tensors import to_proto

_SIGNATURE_DEF = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods answer UNIMPLEMENTED.

    Args:
        models: By name.
    """

    def __init__(self, models: Mapping[str, ModelManager]) -> None:
        self._models = models

    @answers_with_status
    def Predict(  # noqa: N802 (the API's name)
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Runs one signature on the request's tensors."""
        with lease(self._models, require_model_spec(request)) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = find_signature(servable.signatures, name)
            feeds = read_inputs(signature, request)
            outputs = wanted_outputs(signature, request)
            arrays = servable.run(feeds, [signature.outputs[alias].name for alias in outputs])
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
