"""Implements tensorflow.serving.ModelService, which tells the state of each version."""

from collections.abc import Mapping, Sequence

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from serving.server.model_lookup import require_model_spec
from serving.server.model_manager import ModelManager
from serving.server.status import RequestRecorder, StatusError, answers_with_status


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Answers GetModelStatus. HandleReloadConfigRequest, which anybody could call, stays UNIMPLEMENTED.

    The methods take the request and the time, by `time.monotonic()`, at which the client gives up.

    Args:
        models: The managers of the served models, by the models' names.
        recorders: Are told of every request.
    """

    def __init__(self, models: Mapping[str, ModelManager], recorders: Sequence[RequestRecorder] = ()) -> None:
        self._models = models
        self.recorders = recorders
        self.protocol = "grpc"

    @answers_with_status
    def GetModelStatus(  # noqa: N802 (the API's name)
        self, request: get_model_status_pb2.GetModelStatusRequest, deadline: float
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers with the state of one version, or of all, newest first."""
        spec = require_model_spec(request)
        states = self._models[spec.name].states() if spec.name in self._models else []
        missing = f"any versions of model {spec.name}"
        if spec.HasField("version"):
            version = spec.version.value
            states = [state for state in states if state.version == version]
            missing = f"version {version} of model {spec.name}"
        if not states:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find {missing}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for state in states:
            status = response.model_version_status.add(version=state.version, state=state.state)
            status.status.error_code = grpc.StatusCode.UNKNOWN.value[0] if state.error else 0
            status.status.error_message = state.error
        return response

    def HandleReloadConfigRequest(  # noqa: N802 (the API's name)
        self, request: model_management_pb2.ReloadConfigRequest, deadline: float
    ) -> model_management_pb2.ReloadConfigResponse:
        """Says that the server does not do that, since anybody could call it."""
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "this server does not take another configuration")
