"""The threads of a server, and what may wait for them."""

import asyncio
import threading

import grpc
import pytest

from serving.server.status import StatusError
from serving.server.workers import SMALL, ByteBudget, Message, Workers
from tests.serving.api import WAIT

LARGE = SMALL + 1


def refusal(action):
    with pytest.raises(StatusError) as raised:
        action()
    return raised.value.code


def test_small_and_lonely_requests_are_always_taken():
    budget = ByteBudget(LARGE)
    budget.take(10 * LARGE)
    budget.take(SMALL)
    assert refusal(lambda: budget.take(LARGE)) is grpc.StatusCode.UNAVAILABLE
    budget.give_back(10 * LARGE)
    budget.give_back(SMALL)
    budget.take(LARGE)


def test_work_counts_until_it_ends_and_what_was_cancelled_is_not_begun():
    entered, go_on, done = threading.Event(), threading.Event(), []
    budget = ByteBudget(3 * LARGE)
    workers = Workers(1, 2, budget, "test")

    def work(message):
        entered.set()
        assert go_on.wait(WAIT)
        done.append(len(message.take()))
        return len(done)

    async def scenario():
        running = asyncio.ensure_future(workers.run(work, Message(bytes(LARGE))))
        await asyncio.to_thread(entered.wait, WAIT)
        waiting = asyncio.ensure_future(workers.run(work, Message(bytes(LARGE + 1))))
        await asyncio.sleep(0)
        assert refusal(workers.check) is grpc.StatusCode.RESOURCE_EXHAUSTED
        waiting.cancel()
        await asyncio.wait([waiting])
        workers.check()  # it has left
        assert refusal(lambda: budget.take(2 * LARGE + 1)) is grpc.StatusCode.UNAVAILABLE
        running.cancel()
        await asyncio.wait([running])
        assert refusal(lambda: budget.take(2 * LARGE + 1)) is grpc.StatusCode.UNAVAILABLE  # it goes on
        go_on.set()
        return await workers.run(work, Message(bytes(LARGE + 2)))

    assert asyncio.run(scenario()) == 2
    assert done == [LARGE, LARGE + 2]
    workers.close()


def test_what_the_work_raises_is_raised():
    workers = Workers(1, 1, ByteBudget(1), "test")

    def fail(message):
        raise StatusError(grpc.StatusCode.NOT_FOUND, "no")

    assert refusal(lambda: asyncio.run(workers.run(fail, Message(b"")))) is grpc.StatusCode.NOT_FOUND
    workers.check()
