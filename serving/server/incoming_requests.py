"""Requests between their arrival and the method that works on them.

A client can begin a call and never send its message. Such a call takes no thread here and no place among the requests,
however many there are. It takes some memory, and is ended soon.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.base.predict_messages import PREDICT
from serving.server.status import StatusError, invalid_argument, shortened
from serving.server.workers import Message, Workers

PROMPT_SECONDS = 3.0
"""Time in which nearly every message has come, even where many clients send at once. Until then no place is taken."""

SLOW_SECONDS = 60.0
"""Longest time that a message may take: 256 MiB at 36 Mbit/s."""

SLOW_PLACES = 8
"""Number of messages that may be on their way for longer than PROMPT_SECONDS. The parts of them that have come take
memory, and gRPC does not say how much."""

_LONGEST = 86_400.0
"""Seconds that a request without a deadline may wait."""


class IncomingRequests(grpc.aio.ServerInterceptor):
    """Receives and parses the requests of unary methods, and has threads work on them.

    gRPC's server of threads gives a call a thread before its message has come, so that a few calls without one stop it
    for ever. Its asynchronous server would parse messages, of up to 256 MiB, on the event loop. Here a message is
    received on the event loop and parsed by the thread that works on it. What is no message of the method is
    INVALID_ARGUMENT; gRPC would say INTERNAL, as if the server had failed.

    Args:
        predictions: Threads for Predict.
        others: Threads for all other methods, which are quick, and which probes call: they do not wait for
            predictions.
    """

    def __init__(self, predictions: Workers, others: Workers) -> None:
        self._predictions = predictions
        self._others = others
        self._slow: set[asyncio.Future[bytes]] = set()
        self._is_draining = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The method's handler with the reception before it; None for a method that is not served."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        workers = self._predictions if handler_call_details.method == PREDICT else self._others
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(handler, workers), response_serializer=handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(self._unary(handler, workers))

    def drain(self) -> None:
        """Ends the calls whose messages are long in coming, and waits for no more such messages."""
        self._is_draining = True
        for reading in self._slow:
            reading.cancel()

    def _unary(self, handler: grpc.RpcMethodHandler, workers: Workers) -> Callable[..., Awaitable[bytes]]:
        async def answer(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
            deadline = _deadline(context)

            def work(message: Message) -> bytes:
                request = _parse(handler, message)
                return handler.response_serializer(handler.unary_unary(request, deadline))

            try:
                workers.check()
                return await workers.run(work, await self._receive(context))
            except StatusError as error:
                return await context.abort(error.code, shortened(error.message))

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
                await context.abort(error.code, shortened(error.message))

        return answer

    async def _receive(self, context: grpc.aio.ServicerContext) -> Message:
        """Waits for the message of a call.

        Raises:
            StatusError: If it does not come, or not soon enough.
        """
        reading = asyncio.ensure_future(context.read())
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # else asyncio logs it
        try:
            if not (await asyncio.wait([reading], timeout=PROMPT_SECONDS))[0]:
                await self._receive_slowly(reading)
            if reading.cancelled():
                raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
            if (data := reading.result()) is grpc.aio.EOF:
                raise invalid_argument("the call has no request")
            return Message(data)
        finally:
            reading.cancel()  # has no effect on one that is done

    async def _receive_slowly(self, reading: "asyncio.Future[bytes]") -> None:
        if self._is_draining or len(self._slow) >= SLOW_PLACES:
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE,
                f"the request has not come within {PROMPT_SECONDS:g} s, and the server waits for others already; "
                "try again",
            )
        self._slow.add(reading)
        try:
            if not (await asyncio.wait([reading], timeout=SLOW_SECONDS - PROMPT_SECONDS))[0]:
                raise StatusError(
                    grpc.StatusCode.DEADLINE_EXCEEDED, f"the request has not come within {SLOW_SECONDS:g} s"
                )
        finally:
            self._slow.discard(reading)


def _deadline(context: grpc.aio.ServicerContext) -> float:
    """When the client gives up, by `time.monotonic()`."""
    remaining = context.time_remaining()
    return time.monotonic() + (_LONGEST if remaining is None else min(remaining, _LONGEST))


def _parse(handler: grpc.RpcMethodHandler, message: Message) -> Any:
    try:
        return handler.request_deserializer(message.take())
    except DecodeError:
        raise invalid_argument("the request is no message of this method") from None
