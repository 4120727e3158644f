"""Requests between their arrival as bytes and the method that works on them."""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError


class IncomingRequests(grpc.ServerInterceptor):
    """Parses requests, and refuses those that are no message of their method or too much at once.

    gRPC itself would say INTERNAL of bytes that are no message, as if the server had failed, and log a trace: here that
    is INVALID_ARGUMENT. A request is parsed by the thread that works on it, and not by gRPC's event thread when it
    arrives, since a message takes up to 16 times the memory of its bytes.

    Args:
        max_bytes: Of all requests together that have been received and not been answered yet. One more is UNAVAILABLE,
            which clients try again; a request that is alone is always taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received: weakref.WeakSet[_Received] = weakref.WeakSet()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The method's handler, behind the checks; None for a method that is not served."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        make, method = (
            (grpc.unary_stream_rpc_method_handler, handler.unary_stream)
            if handler.response_streaming
            else (grpc.unary_unary_rpc_method_handler, handler.unary_unary)
        )
        return make(
            _parsing(method, handler.request_deserializer), self._receive, handler.response_serializer
        )

    def _receive(self, data: bytes) -> "_Received":
        """Runs on gRPC's event thread, and nowhere else, hence no lock."""
        there = sum(received.size for received in self._received)
        is_too_much = there > 0 and there + len(data) > self._max_bytes
        received = _Received(None if is_too_much else data)
        self._received.add(received)
        return received


class _Received:
    """A request's bytes until they are parsed, and their number until it is answered, or gRPC lets go of it."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.size = len(data or b"")


def _parsing(method: Callable[..., Any], deserialise: Callable[[bytes], Any]) -> Callable[..., Any]:
    @functools.wraps(method)  # with the mark of a method that does not block
    def parsed(received: _Received, context: grpc.ServicerContext, *rest: Any) -> Any:
        data, received.data = received.data, None
        if data is None:
            context.abort(
                grpc.StatusCode.UNAVAILABLE, "the server has too many bytes of requests at once; try again"
            )
        try:
            request = deserialise(data)
        except DecodeError:
            received.size = 0
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of this method")
        del data
        try:
            return method(request, context, *rest)
        finally:
            received.size = 0  # before the client has its answer, and may send the next

    return parsed
