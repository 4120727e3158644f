"""Bytes that are no message of the method they are sent to."""

import functools
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError


class UnparsableRequests(grpc.ServerInterceptor):
    """Answers them with INVALID_ARGUMENT. gRPC itself says INTERNAL, as if the server had failed, and logs a trace.

    A request is parsed by the thread that works on it, and not by gRPC's event thread when it arrives: a message takes
    up to 16 times the memory of its bytes, and many requests may wait.
    """

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The method's handler, behind the check; None for a method that is not served."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        make, method = (
            (grpc.unary_stream_rpc_method_handler, handler.unary_stream)
            if handler.response_streaming
            else (grpc.unary_unary_rpc_method_handler, handler.unary_unary)
        )
        return make(_parsing(method, handler.request_deserializer), _Unparsed, handler.response_serializer)


class _Unparsed:
    """A request's bytes, which gRPC would otherwise keep until the request is answered."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def parse(self, deserialise: Callable[[bytes], Any]) -> Any:
        """The message, once."""
        data, self._data = self._data, b""
        return deserialise(data)


def _parsing(method: Callable[..., Any], deserialise: Callable[[bytes], Any]) -> Callable[..., Any]:
    @functools.wraps(method)  # with the mark of a method that does not block
    def parsed(unparsed: _Unparsed, context: grpc.ServicerContext, *rest: Any) -> Any:
        try:
            request = unparsed.parse(deserialise)
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of this method")
        return method(request, context, *rest)

    return parsed
