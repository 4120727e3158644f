"""Runs a signature of a model on a request's tensors: what the requests of all protocols come to."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.server.models.batched_servable import BatchedServable
from serving.server.models.model_lookup import lease
from serving.server.models.model_manager import ModelManager, Runner
from serving.server.predict_request import (
    DEFAULT_SIGNATURE,
    RequestLimits,
    Sent,
    find_signature,
    read_inputs,
    wanted_outputs,
)
from serving.server.status import StatusError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says to a request.

    Attributes:
        model: The model's name.
        version: Number of the version that was run.
        signature_name: The signature that was run.
        outputs: The arrays that were asked for, by their aliases in the signature, sorted.
    """

    model: str
    version: int
    signature_name: str
    outputs: dict[str, np.ndarray]


class ModelRunner:
    """Runs the served models.

    Args:
        models: The managers of the served models, by the models' names.
        limits: Bounds what one request may ask for; None stands for the defaults.
    """

    def __init__(self, models: Mapping[str, ModelManager], limits: RequestLimits | None = None) -> None:
        self.models = models
        self._limits = limits or RequestLimits()

    def run(
        self,
        spec: ModelSpec,
        inputs: Sent | Callable[[SignatureDef], Sent],
        output_filter: Sequence[str],
        deadline: float,
    ) -> Answer:
        """Runs one signature.

        Args:
            spec: The model, its version or label, and the signature that the request asks for.
            inputs: The request's tensors by their aliases, or a function that makes them when it knows the signature.
            output_filter: Aliases of the outputs to answer with; all of the signature when there are none.
            deadline: When the client gives up, by `time.monotonic()`.

        Raises:
            StatusError: If there is no such model or signature, what was sent does not fit it, or it is too late.
            tf.errors.OpError: As the graph does.
        """
        with lease(self.models, spec) as servable:
            name = spec.signature_name or DEFAULT_SIGNATURE
            signature = find_signature(servable.signatures, name)
            feeds = read_inputs(signature, inputs(signature) if callable(inputs) else inputs, self._limits)
            aliases = wanted_outputs(signature, output_filter)
            arrays = _run(servable, feeds, [signature.outputs[alias].name for alias in aliases], deadline)
            return Answer(
                model=servable.name,
                version=servable.version,
                signature_name=name,
                outputs=dict(zip(aliases, arrays, strict=True)),
            )


def _run(
    servable: Runner, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], deadline: float
) -> list[np.ndarray]:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request's turn")
    if isinstance(servable, BatchedServable):
        return servable.run(feeds, fetches, remaining)
    return servable.run(feeds, fetches)
