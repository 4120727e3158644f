"""Work ahead of its consumer, in a thread."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetch(items: Iterable[Item], count: int = 1) -> Iterator[Item]:
    """The same items in the same order, of which up to `count` are made while the consumer works on an earlier one.

    An error of the producer reaches the consumer at the item where it happened. Reading, TensorFlow and NumPy leave
    the interpreter's lock alone for most of their time, so stages of a loop that are joined by this overlap.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(max_workers=1) as worker:
        ahead = deque(worker.submit(next, iterator, _END) for _ in range(count))
        while (item := ahead.popleft().result()) is not _END:
            ahead.append(worker.submit(next, iterator, _END))
            yield item
