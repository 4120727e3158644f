"""Bytes that are no message of the method they are sent to."""

import functools
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

_UNPARSABLE = object()


class UnparsableRequests(grpc.ServerInterceptor):
    """Answers them with INVALID_ARGUMENT. gRPC itself says INTERNAL, as if the server had failed, and logs a trace."""

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
        return make(_refusing(method), _parsing(handler.request_deserializer), handler.response_serializer)


def _parsing(deserialise: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def parse(data: bytes) -> Any:
        try:
            return deserialise(data)
        except DecodeError:
            return _UNPARSABLE

    return parse


def _refusing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)  # with the mark of a method that does not block
    def checked(request: Any, context: grpc.ServicerContext, *rest: Any) -> Any:
        if request is _UNPARSABLE:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of this method")
        return method(request, context, *rest)

    return checked
