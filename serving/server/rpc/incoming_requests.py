"""Requests of gRPC between their arrival and the method that works on them."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.base.oip_messages import MODEL_INFER
from serving.base.predict_messages import PREDICT
from serving.server.arrivals import Arrivals
from serving.server.status import StatusError, invalid_argument, logged, shortened, trace_parent
from serving.server.workers import Message, RequestPools, Workers

_PREDICTIONS = (PREDICT, MODEL_INFER)

_LONGEST = 86_400.0
"""Seconds that a request without a deadline may wait."""


class IncomingRequests(grpc.aio.ServerInterceptor):
    """Receives and parses the requests of unary methods, and has threads work on them.

    gRPC's server of threads gives a call a thread before its message has come, so that a few calls without one stop it
    for ever. Its asynchronous server would parse messages, of up to 256 MiB, on the event loop. Here a message is
    received on the event loop and parsed by the thread that works on it. What is no message of the method is
    INVALID_ARGUMENT; gRPC would say INTERNAL, as if the server had failed.

    Args:
        pools: Threads that work on the requests.
        arrivals: Bounds how many messages are long in coming.
    """

    def __init__(self, pools: RequestPools, arrivals: Arrivals) -> None:
        self._pools = pools
        self._arrivals = arrivals

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The method's handler with the reception before it; None for a method that is not served."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        workers = self._pools.others
        if handler_call_details.method in _PREDICTIONS:
            workers = self._pools.predictions
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(handler, workers), response_serializer=handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(self._unary(handler, workers))

    def _unary(self, handler: grpc.RpcMethodHandler, workers: Workers) -> Callable[..., Awaitable[bytes]]:
        async def answer(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
            deadline = _deadline(context)
            parent = next(
                (value for key, value in context.invocation_metadata() if key == "traceparent"), None
            )

            def work(message: Message) -> bytes:
                trace_parent.set(parent)
                request = _parse(handler, message)
                return handler.response_serializer(handler.unary_unary(request, deadline))

            try:
                workers.check()
                return await workers.run(work, await self._receive(context))
            except StatusError as error:
                self._pools.count_refusal(error)
                return await context.abort(error.code, shortened(error.message))
            except Exception:  # its text is not for the client, who would get it from gRPC
                return await context.abort(grpc.StatusCode.INTERNAL, logged("a method"))

        return answer

    def _streaming(self, handler: grpc.RpcMethodHandler, workers: Workers) -> Callable[..., Awaitable[None]]:
        async def answer(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
            def work(message: Message) -> Any:
                return _parse(handler, message)

            try:
                workers.check()
                request = await workers.run(work, await self._receive(context))
                async with contextlib.aclosing(handler.unary_stream(request, context)) as responses:
                    async for response in responses:
                        await context.write(response)
            except StatusError as error:
                self._pools.count_refusal(error)
                await context.abort(error.code, shortened(error.message))

        return answer

    async def _receive(self, context: grpc.aio.ServicerContext) -> Message:
        """Waits for the message of a call; raises StatusError if it does not come, or not soon enough."""
        if (data := await self._arrivals.wait(context.read())) is grpc.aio.EOF:
            raise invalid_argument("the call has no request")
        return Message(data)


def _deadline(context: grpc.aio.ServicerContext) -> float:
    """When the client gives up, by `time.monotonic()`."""
    remaining = context.time_remaining()
    return time.monotonic() + (_LONGEST if remaining is None else min(remaining, _LONGEST))


def _parse(handler: grpc.RpcMethodHandler, message: Message) -> Any:
    try:
        return handler.request_deserializer(message.take())
    except DecodeError:
        raise invalid_argument("the request is no message of this method") from None
