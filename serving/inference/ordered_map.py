"""Several calls at once, their results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], concurrency: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with function(item), in the order of the items.

    At most `concurrency` calls run and at most that many items are held; items are taken as they are needed. The
    first exception, in order, ends it.

    Args:
        function: May be called from many threads.
        items: May be endless.
        concurrency: At least 1.
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
