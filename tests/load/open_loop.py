"""Requests sent at times that were fixed before, whether the server keeps up or not.

Clients that wait for an answer before they ask again (a closed loop) ask a slow server less, and so leave out the very
requests that would have waited: coordinated omission (Gil Tene, "How NOT to Measure Latency"). Here a request's latency
counts from the time at which it was due.
"""

import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request.

    Attributes:
        due: Seconds from the begin to when it was to be sent.
        done: Seconds from the begin to its answer.
        error: Name of the status; empty where it was answered.
        answer: What `send`'s future held.
    """

    due: float
    done: float
    error: str
    answer: Any

    @property
    def latency(self) -> float:
        """Seconds, those included by which it was sent too late."""
        return self.done - self.due


def poisson_times(rate: float, seconds: float, seed: int = 0) -> Iterator[float]:
    """When requests arrive that know nothing of each other: `rate` a second on average, ascending, below `seconds`."""
    generator, now = random.Random(seed), 0.0
    while (now := now + generator.expovariate(rate)) < seconds:
        yield now


def open_loop(send: Callable[[int], "Future[Any]"], times: Iterable[float]) -> list[Outcome]:
    """Sends request after request, each at its time, and waits for all answers.

    Args:
        send: Starts the request of that number and does not wait for it.
        times: Seconds from now, ascending.

    Returns:
        One a request, in the order of `times`.
    """
    outcomes: dict[int, Outcome] = {}
    answered = threading.Semaphore(0)
    begin = time.perf_counter()

    def finish(number: int, due: float, future: "Future[Any]") -> None:
        done, error = time.perf_counter() - begin, future.exception()
        outcomes[number] = Outcome(
            due=due,
            done=done,
            error="" if error is None else error.code().name,
            answer=None if error else future.result(),
        )
        answered.release()

    sent = 0
    for number, due in enumerate(times):
        time.sleep(max(0.0, begin + due - time.perf_counter()))
        send(number).add_done_callback(functools.partial(finish, number, due))
        sent += 1
    for _ in range(sent):
        answered.acquire()
    return [outcomes[number] for number in range(sent)]


def closed_loop(ask: Callable[[int], object], clients: int, seconds: float) -> float:
    """Answers a second when so many clients ask, each again as soon as it is answered: what the server can do."""
    end, counts = time.perf_counter() + seconds, [0] * clients
    failures: list[BaseException] = []

    def client(number: int) -> None:
        try:
            while time.perf_counter() < end:
                ask(number)
                counts[number] += 1
        except Exception as error:
            failures.append(error)

    begin = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - begin)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Answers a second, the latencies' percentiles in ms, and the number of errors by status."""
    answered = [outcome for outcome in outcomes if not outcome.error]
    latencies = [outcome.latency * 1e3 for outcome in answered] or [float("nan")]
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)).tolist()
    return {
        "requests": len(outcomes),
        "answers_per_second": len(answered) / max(outcome.done for outcome in outcomes),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "errors": dict(Counter(outcome.error for outcome in outcomes if outcome.error)),
    }
