"""A client of the embedded server and of TensorFlow Serving, which both speak the same API.

Imports neither TensorFlow nor its protos. Legend: B videos, k = 20 (or the number of classes, if that is
less).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import tenacity

from serving.base import predict_messages as wire
from serving.base.errors import ServingError, TryAgainError
from serving.base.tls import ClientTls
from serving.client.connection_errors import check_target, no_server
from trainer.base.errors import UserError

_INPUT_IS_WRONG = {
    grpc.StatusCode.INVALID_ARGUMENT: "the server refuses the request",
    grpc.StatusCode.NOT_FOUND: "the server does not have this model (see its --model-name)",
    grpc.StatusCode.FAILED_PRECONDITION: "the model cannot do what is asked of it",
    grpc.StatusCode.OUT_OF_RANGE: "the server refuses the request",
    grpc.StatusCode.UNIMPLEMENTED: "what listens there is not a prediction server",
    grpc.StatusCode.UNAUTHENTICATED: "the server wants to know who asks",
    grpc.StatusCode.PERMISSION_DENIED: "the server does not let you",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "too much at once: send fewer videos a request",
}
_TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE: "the server is too busy, or it is stopping",
    grpc.StatusCode.DEADLINE_EXCEEDED: "no answer in time: send fewer videos a request, or wait longer",
    grpc.StatusCode.ABORTED: "the server gave up on the request",
    grpc.StatusCode.CANCELLED: "the request was cancelled (the server may be stopping)",
}


@dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """What a server says of a version.

    Attributes:
        version: Number.
        state: start, loading, available (it takes requests), unloading or end.
        error: Why it did not load; empty otherwise.
    """

    version: int
    state: str
    error: str = ""


class PredictClient:
    """Sends videos, gets their classes with scores. One channel, kept open; may be used by many threads.

    Example:
        with PredictClient("localhost:8500") as client:
            classes, scores = client.predict([video.sequence_example])

    Args:
        target: HOST:PORT, or any target that gRPC knows.
        model_name: As the server calls the model.
        timeout: Seconds until a request fails, all its attempts together.
        tls: How to trust the server, and be trusted; None for plain text.
        attempts: Of a request while the server is UNAVAILABLE, and of no other failure: that one says that the
            request was not worked on. Between two lies a random time that grows.
        version: Number of the version to ask; None for the newest, or the one with the label.
        version_label: What the server knows that version by; not with a number.

    Raises:
        UserError: If the target cannot be an address, or a PEM file cannot be read.
    """

    def __init__(
        self,
        target: str,
        model_name: str = "yt8m",
        timeout: float = 60.0,
        tls: ClientTls | None = None,
        attempts: int = 4,
        version: int | None = None,
        version_label: str | None = None,
    ) -> None:
        check_target(target)
        self._target = target
        self._tls = tls
        self._model = wire.ModelChoice(name=model_name, version=version, label=version_label)
        self._timeout = timeout
        # 4 MiB, gRPC's default for answers, is little; and the server has its own opinion of requests.
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if tls is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options=options)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_unavailable),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(attempts), tenacity.stop_before_delay(timeout)
            ),
            reraise=True,
        )
        self._predict = self._channel.unary_unary(
            wire.PREDICT,
            response_deserializer=wire.PredictResponse.FromString,
        )
        self._status = self._channel.unary_unary(
            wire.MODEL_STATUS,
            request_serializer=wire.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire.GetModelStatusResponse.FromString,
        )

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The best classes of each video.

        Args:
            examples: B serialised SequenceExamples, as they stand in frame-level YT-8M files.

        Returns:
            classes int64 [B, k] and scores float32 [B, k], descending.

        Raises:
            UserError: If the request is wrong: the videos, the model's name, the version, the size.
            NoServerError: If no server answers; it is a UserError and a TryAgainError.
            TryAgainError: If the server cannot be reached or is too slow.
            ServingError: If the server failed.
        """
        classes, scores, _ = self._answer(examples, ("classes", "scores"))
        return classes, scores

    def predict_named(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """As `predict`, and with the names of the classes, bytes objects [B, k]: None where the model has none."""
        return self._answer(examples, ())

    def versions(self) -> list[VersionStatus]:
        """What the server says of each version of the model that it has seen, newest first.

        Raises:
            UserError, TryAgainError, ServingError: As `predict`.
        """
        try:
            return self._versions()
        except grpc.RpcError as error:
            raise self._explained(error.code(), error.details()) from None

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def __enter__(self) -> "PredictClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(
        self, examples: Sequence[bytes], outputs: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        request = wire.string_request(self._model, "examples", examples, outputs)
        try:
            # A copy: it counts the attempts of one call, and there may be many at once.
            response = self._retrying.copy()(self._attempt, request, time.monotonic() + self._timeout)
        except grpc.RpcError as error:
            raise self._explained(error.code(), error.details()) from None
        try:
            classes, scores = (wire.output_array(response, alias) for alias in ("classes", "scores"))
            has_names = any(entry.key == "labels" for entry in response.outputs)
            return classes, scores, wire.output_array(response, "labels") if has_names else None
        except ValueError as error:
            raise ServingError(f"the answer of {self._target} is not one of a YT-8M model: {error}") from None

    def _versions(self) -> list[VersionStatus]:
        request = wire.GetModelStatusRequest()
        request.model_spec.name = self._model.name
        response = self._status(request, timeout=self._timeout)
        return [
            VersionStatus(
                version=each.version,
                state=wire.STATES.get(each.state, "unknown"),
                error=each.status.error_message,
            )
            for each in response.model_version_status
        ]

    def _attempt(self, request: bytes, deadline: float) -> wire.PredictResponse:
        return self._predict(request, timeout=max(deadline - time.monotonic(), 0.001))

    def _explained(self, code: grpc.StatusCode, details: str | None) -> Exception:
        reason = " ".join((details or "").split())
        if code == grpc.StatusCode.UNAVAILABLE and (error := no_server(self._target, reason, self._tls)):
            return error
        where = f"{self._target}, model {self._model.name}: {code.name}"
        if code in _INPUT_IS_WRONG:
            return UserError(f"{where}: {self._wrong_version(reason) or _INPUT_IS_WRONG[code]} ({reason})")
        if code in _TRY_AGAIN:
            return TryAgainError(f"{where}: {_TRY_AGAIN[code]} ({reason})")
        return ServingError(f"{where}: {reason}")

    def _wrong_version(self, reason: str) -> str | None:
        """What to say where the version asked for, by number or label, is why a request was refused."""
        asked = self._model.version if self._model.label is None else self._model.label
        if asked is None:
            return None
        try:
            versions = self._versions()
        except grpc.RpcError:
            return None
        loaded = sorted(each.version for each in versions if each.state == "available")
        if asked in loaded or (self._model.label is not None and "label" not in reason):
            return None
        return f"the version {asked} is not loaded; loaded: {', '.join(map(str, loaded)) or 'none'}"


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.UNAVAILABLE
