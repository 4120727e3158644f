"""Calls a function for several items at a time, and returns the results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], concurrency: int
) -> Iterator[tuple[Item, Result]]:
    """Yields each item with its result, in the order of the items, while later calls run in threads.

    Items are taken when they are needed, and at most `concurrency` of them are held. The first exception of a call, in
    the order of the items, is raised.

    Args:
        function: Is called with each item, from several threads.
        items: The items; there may be no end of them.
        concurrency: Number of calls at the same time, at least 1.
    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="ordered-map") as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(function, item)))
                if len(pending) == concurrency:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            for _, future in pending:
                future.cancel()
