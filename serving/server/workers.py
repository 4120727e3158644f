"""The threads that work on requests, and how many requests and bytes may wait for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc

from serving.server.server_options import ServerOptions
from serving.server.status import RefusedError, StatusError

_T = TypeVar("_T")

SMALL = 512
"""Most bytes of a request that is taken however many bytes are there. Those of probes are as small, and must not fail
because a server is busy; their number is bounded."""


_OTHER_THREADS = 2
"""Threads for what is no prediction: states and metadata of models, health, and metrics."""

_OTHER_REQUESTS = 128
"""Number of such requests that are there at once."""


class ByteBudget:
    """Bounds the bytes of all requests that a server holds at once.

    Args:
        most: Bytes of all requests together. A request that is small or alone is always taken.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Bytes of the requests that are there."""
        return self._taken

    def take(self, size: int, counted: int = 0) -> None:
        """Counts a request of `size` bytes, of which `counted` are counted already.

        Raises:
            StatusError: UNAVAILABLE, which clients try again, if the requests that are there leave too few bytes.
        """
        with self._lock:
            others = self._taken - counted
            if others and size > SMALL and others + size > self._most:
                raise RefusedError(
                    grpc.StatusCode.UNAVAILABLE,
                    "the server has too many bytes of requests at once; try again",
                )
            self._taken = others + size

    def give_back(self, size: int) -> None:
        """Ends the count of a request of `size` bytes."""
        with self._lock:
            self._taken -= size


class Message:
    """A request as it came, until it is parsed, and its size, which counts until it is answered.

    Args:
        data: Bytes of the request.
        size: Number of bytes that it counts for; None for those of `data`.
    """

    def __init__(self, data: bytes | bytearray, size: int | None = None) -> None:
        self._data = data
        self.size = len(data) if size is None else size
        """Number of bytes that it counts for."""

    def take(self) -> bytes | bytearray:
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

    @property
    def there(self) -> int:
        """Number of requests that are worked on or wait."""
        return self._there

    def check(self) -> None:
        """Refuses a request where there are too many already.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if `most` requests are worked on or wait.
        """
        if self._there >= self._most:
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server has too many requests at once")

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


class RequestPools:
    """The threads of a server, whichever port a request comes to.

    Args:
        options: The numbers of threads and the limits.
        on_refused: Is called with the status of each request that is refused since there is too much to do.
    """

    def __init__(
        self, options: ServerOptions, on_refused: Callable[[grpc.StatusCode], None] = lambda code: None
    ) -> None:
        self._on_refused = on_refused
        self.budget = ByteBudget(options.bytes_at_once)
        """Bounds the bytes of all requests together."""
        self.predictions = Workers(options.workers, options.requests_at_once, self.budget, "predict")
        """For predictions."""
        self.others = Workers(_OTHER_THREADS, _OTHER_REQUESTS, self.budget, "request")
        """For all other requests, which are quick, and which probes send: they do not wait for predictions."""

    def count_refusal(self, error: StatusError) -> None:
        """Has a request counted that ended with that error, if it was refused since there is too much to do."""
        if isinstance(error, RefusedError):
            self._on_refused(error.code)

    def close(self) -> None:
        """Lets the threads end when they have nothing more to do, and does not wait for them."""
        self.predictions.close()
        self.others.close()
