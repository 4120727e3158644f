"""Implements tensorflow.serving.ModelService, which tells the state of each version."""

from collections.abc import Callable, Mapping, Sequence

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)

from serving.server.models.model_config import ModelConfig, model_configs
from serving.server.models.model_lookup import require_model_spec
from serving.server.models.model_manager import ModelManager
from serving.server.status import RequestRecorder, StatusError, answers_with_status, invalid_argument
from trainer.base.errors import UserError


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Answers GetModelStatus, and HandleReloadConfigRequest where the server allows it.

    The methods take the request and the time, by `time.monotonic()`, at which the client gives up.

    Args:
        models: The managers of the served models, by the models' names.
        recorders: Are told of every request.
        reload: Serves other models; None where that is not allowed.
    """

    def __init__(
        self,
        models: Mapping[str, ModelManager],
        recorders: Sequence[RequestRecorder] = (),
        reload: Callable[[Sequence[ModelConfig]], None] | None = None,
    ) -> None:
        self._models = models
        self.recorders = recorders
        self.protocol = "grpc"
        self._reload = reload

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

    @answers_with_status
    def HandleReloadConfigRequest(  # noqa: N802 (the API's name)
        self, request: model_management_pb2.ReloadConfigRequest, deadline: float
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serves the models of the request in place of those that are served, and answers when they are loaded."""
        if self._reload is None:
            raise StatusError(
                grpc.StatusCode.UNIMPLEMENTED,
                "this server does not take another configuration (--allow-reload)",
            )
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        try:
            self._reload(model_configs(request.config, "the request"))
        except UserError as error:
            raise invalid_argument(str(error)) from None
        return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})
