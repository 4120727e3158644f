"""What a server does under load: throughput, latencies and errors, and a change of versions meanwhile."""

import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import takewhile
from typing import Any

from serving.store import model_store
from tests.load.clients import Clients, RestClients, version_of
from tests.load.open_loop import closed_loop, open_loop, poisson_times, summary

SHARE = 0.7
"""Of what the server can do, offered in the open loop: beyond 1 the queue only grows."""


def measure_load(
    target: str,
    model_name: str,
    examples: Sequence[bytes],
    clients: int,
    seconds: float,
    share: float = SHARE,
    kind: type[Clients] | type[RestClients] = Clients,
) -> dict[str, Any]:
    """Capacity in a closed loop of so many clients (a third of the time), then latencies in an open loop at a share of
    it.

    Args:
        target: HOST:PORT.
        model_name: As the server calls the model.
        examples: Of each request.
        clients: Connections.
        seconds: Of the open loop.
        share: Of the capacity.
        kind: What the clients speak.
    """
    with kind(target, model_name, list(examples), clients) as crowd:
        capacity = closed_loop(crowd.ask, clients, seconds / 3)
        offered = capacity * share
        outcomes = open_loop(crowd.send, poisson_times(offered, seconds))
    return {
        "clients": clients,
        "capacity_per_second": capacity,
        "offered_per_second": offered,
        **summary(outcomes),
    }


def measure_swaps(
    target: str,
    base: str,
    model_name: str,
    examples: Sequence[bytes],
    rate: float,
    seconds: float,
    clients: int = 8,
) -> dict[str, Any]:
    """Two new versions are pushed while requests arrive.

    Args:
        target: HOST:PORT of a server of the newest version in `base`.
        base: Directory of versions, to which two are added.
        model_name: As the server calls the model.
        examples: Of each request.
        rate: Requests a second.
        seconds: The pushes are at a quarter and at half of it; requests go on until the second has answered one, at
            most ten times as long.
        clients: Connections.

    Returns:
        As `measure_load` from the open loop, and how many answers each version gave.
    """
    source = model_store.version_path(base, model_store.served_version(base))
    pushes = [threading.Timer(seconds * part, _push_again, (source, base, str(part))) for part in (0.25, 0.5)]
    with Clients(target, model_name, list(examples), clients) as crowd:
        seen: set[int] = set()

        def send(number: int) -> "Future[Any]":
            future = crowd.send(number)
            future.add_done_callback(lambda done: done.exception() or seen.add(version_of(done.result())))
            return future

        newest = model_store.served_version(base) + len(pushes)
        for push in pushes:
            push.start()
        times = poisson_times(rate, 10 * seconds)
        outcomes = open_loop(send, takewhile(lambda due: due < seconds or newest not in seen, times))
        for push in pushes:
            push.join()
    versions = Counter(version_of(outcome.answer) for outcome in outcomes if not outcome.error)
    return {
        "clients": clients,
        "offered_per_second": rate,
        **summary(outcomes),
        "answers_by_version": dict(sorted(versions.items())),
    }


def _push_again(source: str, base: str, mark: str) -> None:
    """Publishes a model once more; the mark makes it another one than what is served."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(base)) as scratch:
        copy = shutil.copytree(source, os.path.join(scratch, "model"), copy_function=os.link)
        os.makedirs(os.path.join(copy, "assets.extra"), exist_ok=True)
        with open(os.path.join(copy, "assets.extra", "load_test"), "w", encoding="utf-8") as file:
            file.write(mark)
        model_store.publish(copy, base)
