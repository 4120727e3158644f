"""Work in a thread ahead of its consumer."""

import threading

import pytest

from trainer.base.prefetch import prefetch


@pytest.mark.parametrize("count", [1, 3])
def test_items_come_in_order_and_at_most_so_many_are_ahead(count):
    made = []

    def items():
        for item in range(20):
            made.append(item)
            yield item

    for expected, item in enumerate(prefetch(items(), count)):
        assert item == expected
        assert len(made) <= expected + 1 + count
    assert made == list(range(20))


def test_the_next_item_is_made_while_the_consumer_works():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    for _ in prefetch(items()):
        assert second.wait(timeout=60)


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    received = []
    with pytest.raises(ValueError, match="broken"):
        received.extend(prefetch(items(), 4))
    assert list(prefetch([])) == []


def test_a_consumer_that_stops_leaves_no_thread():
    before = threading.active_count()
    stream = prefetch(iter(range(100)), 2)
    next(stream)
    stream.close()
    assert threading.active_count() == before
