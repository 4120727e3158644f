"""The threads that work on requests, and how many requests and bytes may wait for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc

from serving.server.status import StatusError

_T = TypeVar("_T")

SMALL = 512
"""Most bytes of a request that is taken however many bytes are there. Those of probes are as small, and must not fail
because a server is busy; their number is bounded."""


class ByteBudget:
    """Bounds the bytes of all requests that a server holds at once.

    Args:
        most: Bytes of all requests together. A request that is small or alone is always taken.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Counts a request of `size` bytes.

        Raises:
            StatusError: UNAVAILABLE, which clients try again, if the requests that are there leave too few bytes.
        """
        with self._lock:
            if self._taken and size > SMALL and self._taken + size > self._most:
                raise StatusError(
                    grpc.StatusCode.UNAVAILABLE,
                    "the server has too many bytes of requests at once; try again",
                )
            self._taken += size

    def give_back(self, size: int) -> None:
        """Ends the count of a request of `size` bytes."""
        with self._lock:
            self._taken -= size


class Message:
    """A request as it came, until it is parsed, and its size, which counts until it is answered.

    Args:
        data: Bytes of the request.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        """Number of the bytes."""

    def take(self) -> bytes:
        """Hands the bytes over, and keeps none: their memory is needed by what is made of them."""
        data, self._data = self._data, b""
        return data


class Workers:
    """A pool of threads with a bounded queue of requests.

    Args:
        threads: Number of requests that are worked on at once.
        most: Number of requests that are worked on or wait; one more is refused.
        budget: Bounds the bytes of these requests, and of those of other pools that share it.
        name: Prefix of the threads' names.
    """

    def __init__(self, threads: int, most: int, budget: ByteBudget, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = most
        self._budget = budget
        self._there = 0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuses a request where there are too many already.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if `most` requests are worked on or wait.
        """
        if self._there >= self._most:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server has too many requests at once")

    async def run(self, work: Callable[[Message], _T], message: Message) -> _T:
        """Runs `work(message)` in a thread, while the event loop goes on.

        Where the caller is cancelled, work that has not begun never begins. Work that has begun goes on to its end,
        and counts until then.

        Raises:
            StatusError: If there are too many requests or bytes, or as `work` raises.
        """
        with self._lock:
            self.check()
            self._budget.take(message.size)
            self._there += 1
        try:
            future = self._pool.submit(work, message)
        except BaseException:
            self._leave(message)
            raise
        future.add_done_callback(lambda _: self._leave(message))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Lets the threads end when they have nothing more to do, and does not wait for them."""
        self._pool.shutdown(wait=False)

    def _leave(self, message: Message) -> None:
        message.take()  # a request that was cancelled stays in the pool's queue until its turn comes
        self._budget.give_back(message.size)
        with self._lock:
            self._there -= 1
