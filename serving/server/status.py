"""How a request is refused: with TensorFlow Serving's codes and texts, so that a client cannot tell the
servers apart.

Source of the codes and texts: tensorflow/serving 2.16 (predict_util.cc, server_core.cc, get_model_*_impl.cc).
"""

import functools
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import tensorflow as tf

_log = logging.getLogger("yt8m.serving")

_LIMIT = 1024
"""Bytes of a message: the original cuts there too, since a status travels in a header of limited size."""

_OF_THE_REQUEST = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)
"""Statuses of a graph that its request is to blame for, whose text is for the client."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """Ends a request.

    Args:
        code: What the client gets.
        message: Its text.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """The error that most refused requests end with."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def answers_with_status(method: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a servicer's method end a request with the status of whatever it raises, and be counted in the
    servicer's `metrics`, if it has any.

    The text of an exception may name files and machines. It goes to the log, and the client gets the number that the
    log has it under.
    """

    @functools.wraps(method)
    def wrapped(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        begin = time.perf_counter()
        response, code, message = None, grpc.StatusCode.OK, ""
        try:
            response = method(self, request, context)
        except StatusError as error:
            code, message = error.code, error.message
        except tf.errors.OpError as error:
            code, message = _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message
            if code not in _OF_THE_REQUEST:
                message = _logged(method.__name__)
        except Exception:
            code, message = grpc.StatusCode.INTERNAL, _logged(method.__name__)
        if (metrics := getattr(self, "metrics", None)) is not None:
            spec = getattr(request, "model_spec", None)
            seconds = time.perf_counter() - begin
            metrics.request(spec.name if spec else "", method.__name__, code, seconds)
        if code is not grpc.StatusCode.OK:
            _abort(context, code, message)
        return response

    return wrapped


def _logged(method: str) -> str:
    """Logs the exception that is handled; what the client is told of it."""
    reference = secrets.token_hex(4)
    _log.exception("%s failed, reference %s", method, reference)
    return f"the server failed; what happened is in its log, under the reference {reference}"


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    data = message.encode(errors="replace")
    if len(data) > _LIMIT:
        message = data[:_LIMIT].decode(errors="ignore") + "...TRUNCATED"
    context.abort(code, message)
