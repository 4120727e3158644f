"""Finds the loaded version that the ModelSpec of a request asks for."""

import contextlib
from collections.abc import Iterator, Mapping

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.models.model_manager import ModelManager, Runner
from serving.server.status import StatusError, invalid_argument, served_version


def require_model_spec(request: Message) -> ModelSpec:
    """Returns the request's ModelSpec; raises StatusError when it has none."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


@contextlib.contextmanager
def lease(models: Mapping[str, ModelManager], spec: ModelSpec) -> Iterator[Runner]:
    """Gives the version that a request asks for, which stays loaded while the block runs.

    Args:
        models: The managers of the served models, by the models' names.
        spec: The ModelSpec of the request.

    Raises:
        StatusError: If there is no such model, version or label.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    model = models.get(spec.name)
    version = spec.version.value if spec.HasField("version") else None
    if spec.WhichOneof("version_choice") == "version_label":
        version = model.label(spec.version_label) if model else None
        if version is None:
            raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
    wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
    with contextlib.ExitStack() as stack:
        servable = stack.enter_context(model.lease(version)) if model else None
        if servable is None:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        served_version.set(servable.version)
        yield servable
