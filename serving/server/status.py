"""Refuses requests with TensorFlow Serving's codes and texts, so that a client cannot tell the servers apart.

Source of the codes and texts: tensorflow/serving 2.16 (predict_util.cc, server_core.cc, get_model_*_impl.cc).
"""

import functools
import logging
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

import grpc
import tensorflow as tf

_log = logging.getLogger("yt8m.serving")

_LIMIT = 1024
"""Most bytes of a message. The original cuts there too, since a status travels in a header of limited size."""

_OF_THE_REQUEST = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)
"""Statuses of a graph that blame the request: their text is for the client."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


served_version: ContextVar[int | None] = ContextVar("served_version", default=None)
"""Number of the version that the request of this thread is given to; None as long as it is given to none."""


trace_parent: ContextVar[str | None] = ContextVar("trace_parent", default=None)
"""The traceparent (W3C Trace Context) that the request of this thread came with."""


class RequestRecorder(Protocol):
    """Is told of every answered request."""

    def request(
        self,
        model: str,
        version: int | None,
        protocol: str,
        method: str,
        code: grpc.StatusCode,
        seconds: float,
    ) -> None:
        """Records one; `version` is None where no version was reached."""


class StatusError(Exception):
    """Ends a request.

    Args:
        code: The status code that the client gets.
        message: The text that the client gets.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RefusedError(StatusError):
    """The server has too much to do for one more request."""


def invalid_argument(message: str) -> StatusError:
    """Returns the error that most refused requests end with."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def answers_with_status(method: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a service's method raise nothing but StatusErrors, and be told to the service's `recorders`, with its
    `protocol`.

    The text of an exception may name files and machines. It goes to the log, and the client gets the number that the
    log has it under.
    """

    @functools.wraps(method)
    def wrapped(self: Any, request: Any, deadline: float) -> Any:
        begin = time.perf_counter()
        served_version.set(None)
        response, code, message = None, grpc.StatusCode.OK, ""
        try:
            response = method(self, request, deadline)
        except StatusError as error:
            code, message = error.code, error.message
        except tf.errors.OpError as error:
            code, message = _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message
            if code not in _OF_THE_REQUEST:
                message = logged(method.__name__)
        except Exception:
            code, message = grpc.StatusCode.INTERNAL, logged(method.__name__)
        seconds = time.perf_counter() - begin
        for recorder in self.recorders:
            recorder.request(
                _model_name(request), served_version.get(), self.protocol, method.__name__, code, seconds
            )
        if code is not grpc.StatusCode.OK:
            raise StatusError(code, message)
        return response

    return wrapped


def shortened(message: str) -> str:
    """Returns the message, cut to the length of a status if it is longer, with a mark that it was cut."""
    data = message.encode(errors="replace")
    return message if len(data) <= _LIMIT else data[:_LIMIT].decode(errors="ignore") + "...TRUNCATED"


def _model_name(request: Any) -> str:
    """The model that a request is for, wherever its protocol has the name."""
    if (spec := getattr(request, "model_spec", None)) is not None:
        return spec.name
    return getattr(request, "model_name", None) or getattr(request, "name", "")


def logged(method: str) -> str:
    """Logs the exception that is being handled, and returns what the client is told of it."""
    reference = secrets.token_hex(4)
    _log.exception("%s failed, reference %s", method, reference)
    return f"the server failed; what happened is in its log, under the reference {reference}"
