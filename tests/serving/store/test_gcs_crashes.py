"""A publisher that dies at each single request, and two publishers whose requests come in any order."""

import itertools
import queue
import threading
from contextlib import nullcontext, suppress

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.store import model_store
from serving.store.gcs_claim import Claim
from serving.store.gcs_store import GcsStore
from tests.gcs_emulator import BUCKET, GcsEmulator
from tests.serving.publishers import check_versions
from tests.serving.store.model_files import write_model

ACTIONS = {
    "publish": lambda source, base: model_store.publish(source, base),
    "rollback": lambda source, base: model_store.rollback(base, 1),
    "delete": lambda source, base: model_store.delete(base, 2, force=True),
}


class Killed(BaseException):
    """Nothing of this process happens any more."""


@pytest.fixture
def sources(tmp_path_factory):
    return [
        write_model(tmp_path_factory.mktemp("source") / name, name.encode()) for name in ("a", "b", "c", "d")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_dying_at_any_request(gcs, sources, monkeypatch, action, after):
    gcs.after_change = lambda: check_versions(gcs.contents())
    send = requests.Session.request
    left = None

    def dying(*args, **kwargs):
        nonlocal left
        if left is None:
            return send(*args, **kwargs)
        left -= 1
        if left == 0 and after:
            send(*args, **kwargs)
        if left <= 0:
            raise Killed
        return send(*args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", dying)
    base = f"gs://{BUCKET}/models"
    for source in sources[:2]:
        model_store.publish(source, base)
    saved = gcs.save()
    for at in itertools.count(1):
        gcs.restore(saved)
        left = at
        with suppress(Killed):
            ACTIONS[action](sources[2], base)
        died, left = left <= 0, None
        gcs.age(301)
        last = model_store.publish(sources[3], base)
        versions = model_store.list_versions(base)
        assert versions[-1] == last.version
        assert {name.partition("/")[0] for name in gcs.contents("models/")} == set(map(str, versions))
        if not died:
            break
    assert at > 4


class Turns:
    """Lets the threads it starts send one request at a time, in an order that is given."""

    def __init__(self, send) -> None:
        self._send = send
        self._events: queue.Queue[tuple[int, bool]] = queue.Queue()
        self._may_go: dict[int, threading.Semaphore] = {}
        self._me = threading.local()
        self.errors: list[Exception] = []

    def request(self, *args, **kwargs):
        me = getattr(self._me, "number", None)
        if me is not None:
            self._events.put((me, True))
            self._may_go[me].acquire()
        return self._send(*args, **kwargs)

    def run(self, actions, order) -> None:
        """Runs all actions to their end; `order` says whose request is next, as long as it lasts."""
        self._may_go = {number: threading.Semaphore(0) for number in range(len(actions))}
        threads = [threading.Thread(target=self._act, args=pair) for pair in enumerate(actions)]
        for thread in threads:
            thread.start()
        waiting = dict(self._events.get() for _ in threads)
        for wanted in itertools.chain(order, itertools.repeat(0)):
            alive = sorted(number for number in waiting if waiting[number])
            if not alive:
                break
            chosen = alive[wanted % len(alive)]
            self._may_go[chosen].release()
            waiting.update([self._events.get()])
        for thread in threads:
            thread.join()

    def _act(self, number: int, action) -> None:
        self._me.number = number
        try:
            action()
        except Exception as error:
            self.errors.append(error)
        self._events.put((number, False))


@pytest.mark.slow
@settings(max_examples=40)
@given(
    orders=st.lists(st.integers(0, 1), min_size=5, max_size=50),
    distrust=st.booleans(),
)
def test_two_publishers_whose_requests_come_in_any_order(orders, distrust, tmp_path_factory):
    sources = [
        write_model(tmp_path_factory.mktemp("source") / name, name.encode()) for name in ("a", "b", "c")
    ]
    base = f"gs://{BUCKET}/models"
    with GcsEmulator() as gcs, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs.host)
        # Each takes the other for dead whenever it looks: what keeps versions whole is not the time.
        patch.setattr(Claim, "kept", lambda self: nullcontext())
        stores = [GcsStore(base, lease_seconds=-1e9 if distrust else 300.0) for _ in range(2)]
        gcs.after_change = lambda: check_versions(gcs.contents())
        turns = Turns(requests.Session.request)
        patch.setattr(requests.Session, "request", lambda *args, **kwargs: turns.request(*args, **kwargs))
        made = []
        turns.run(
            [
                lambda store=store, source=source: made.append(store.add(source, {}))
                for store, source in zip(stores, sources, strict=False)
            ],
            orders,
        )
        assert turns.errors == []
        versions = model_store.list_versions(base)
        assert sorted(publication.version for publication in made) == versions
        contents = {gcs.contents()[f"models/{version}/saved_model.pb"] for version in versions}
        assert contents == {b"graph of a", b"graph of b"}
        stores[0].add(sources[2], {})
        left = {name.partition("/")[0] for name in gcs.contents("models/")}
        assert left == set(map(str, model_store.list_versions(base)))
