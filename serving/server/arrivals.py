"""How long a request may take to come.

A client can begin a request and never send the rest of it. Such a one takes no thread here and no place among the
requests, however many there are. It takes some memory, and is ended soon.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

from serving.server.status import RefusedError, StatusError

_T = TypeVar("_T")

PROMPT_SECONDS = 3.0
"""Time in which nearly every message has come, even where many clients send at once. Until then no place is taken."""

SLOW_SECONDS = 60.0
"""Longest time that a message may take: 256 MiB at 36 Mbit/s."""

SLOW_PLACES = 8
"""Number of messages that may be on their way for longer than PROMPT_SECONDS. The parts of them that have come take
memory, and gRPC does not say how much."""


class Arrivals:
    """Waits for the messages of a server's clients, on its event loop."""

    def __init__(self) -> None:
        self._slow: set[asyncio.Future[Any]] = set()
        self._is_draining = False

    async def wait(self, reading: Coroutine[Any, Any, _T]) -> _T:
        """Waits for a message.

        Args:
            reading: Receives it.

        Returns:
            What `reading` does.

        Raises:
            StatusError: If it does not come, or not soon enough.
        """
        task = asyncio.ensure_future(reading)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # else asyncio logs it
        try:
            if not (await asyncio.wait([task], timeout=PROMPT_SECONDS))[0]:
                await self._wait_longer(task)
            if task.cancelled():
                raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
            return task.result()
        finally:
            task.cancel()  # has no effect on one that is done

    def drain(self) -> None:
        """Ends the requests that are long in coming, and waits for no more such ones."""
        self._is_draining = True
        for task in self._slow:
            task.cancel()

    async def _wait_longer(self, task: "asyncio.Future[Any]") -> None:
        if self._is_draining or len(self._slow) >= SLOW_PLACES:
            raise RefusedError(
                grpc.StatusCode.UNAVAILABLE,
                f"the request has not come within {PROMPT_SECONDS:g} s, and the server waits for others already; "
                "try again",
            )
        self._slow.add(task)
        try:
            if not (await asyncio.wait([task], timeout=SLOW_SECONDS - PROMPT_SECONDS))[0]:
                raise StatusError(
                    grpc.StatusCode.DEADLINE_EXCEEDED, f"the request has not come within {SLOW_SECONDS:g} s"
                )
        finally:
            self._slow.discard(task)
