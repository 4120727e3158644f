"""Batching, on a servable of the tests' own that can be held up."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

from serving.server.models.batched_servable import BatchedServable, BatchingConfig
from serving.server.status import StatusError

WAIT = 60.0
NEVER = 1000.0


def info(name, *dims):
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in dims])
    return TensorInfo(name=name, tensor_shape=shape)


class Doubler:
    """y = 2 x; counts what it runs, can be held up, and refuses negative rows as a graph would."""

    name, version = "m", 1

    def __init__(self):
        self.signatures = {
            "double": SignatureDef(inputs={"x": info("x", -1, -1)}, outputs={"y": info("y", -1, -1)}),
            "scalar": SignatureDef(inputs={"s": info("s")}, outputs={"t": info("t")}),
            "pair": SignatureDef(inputs={"a": info("a", -1), "b": info("b", -1)}, outputs={}),
        }
        self.runs = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.closed = False

    def run(self, feeds, fetches):
        (array,) = feeds.values()
        self.entered.set()
        assert self.go_on.wait(WAIT)
        self.runs.append(array.tolist())
        if (array < 0).any():
            raise tf.errors.InvalidArgumentError(None, None, f"bad row {int(np.argmin(array[:, 0]))}")
        return [array * 2 for _ in fetches]

    def close(self):
        self.closed = True


def batched(doubler, on_batch=lambda rows, waited: None, **config):
    defaults = {"max_batch_size": 4, "timeout_seconds": NEVER, "max_enqueued_batches": 8}
    return BatchedServable(doubler, BatchingConfig(**{**defaults, **config}), on_batch)


def rows(*values):
    return {"x": np.float32([[value] for value in values])}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_requests_that_fill_a_batch_run_together(pool):
    doubler, seen = Doubler(), []
    servable = batched(doubler, lambda rows, waited: seen.append((rows, len(waited))))
    answers = [pool.submit(servable.run, rows(*values), ["y"]) for values in ((1,), (2, 3), (4,))]
    assert [answer.result(WAIT)[0].ravel().tolist() for answer in answers] == [[2], [4, 6], [8]]
    servable.close()
    assert [sorted(np.ravel(run)) for run in doubler.runs] == [[1, 2, 3, 4]]
    assert seen == [(4, 3)]
    assert doubler.closed


def test_a_request_does_not_wait_for_ever():
    servable = batched(Doubler(), timeout_seconds=0.001)
    assert servable.run(rows(1), ["y"])[0].tolist() == [[2]]
    servable.close()


def test_what_does_not_fit_goes_into_the_next_batch(pool):
    doubler = Doubler()
    servable = batched(doubler)
    first = pool.submit(servable.run, rows(1, 2, 3), ["y"])
    while not servable._open:
        pass
    second = pool.submit(servable.run, rows(4, 5, 6, 7), ["y"])
    assert first.result(WAIT)[0].ravel().tolist() == [2, 4, 6]
    assert second.result(WAIT)[0].ravel().tolist() == [8, 10, 12, 14]
    servable.close()
    assert sorted(len(run) for run in doubler.runs) == [3, 4]


def test_unlike_shapes_and_outputs_do_not_mix(pool):
    doubler = Doubler()
    servable = batched(doubler, max_batch_size=2, timeout_seconds=0.05)
    wide = {"x": np.float32([[1, 2]])}
    jobs = [(rows(1), ["y"]), (wide, ["y"]), (rows(3), ["y", "y"])]
    answers = [pool.submit(servable.run, *job) for job in jobs]
    assert [len(answer.result(WAIT)) for answer in answers] == [1, 1, 2]
    servable.close()
    assert len(doubler.runs) == 3


@pytest.mark.parametrize(
    ("feeds", "text"),
    [
        (rows(1, 2, 3, 4, 5), "Task size 5 is larger than maximum input batch size 4"),
        ({"x": np.float32(1)}, "Batching Run() input tensors must have at least one dimension"),
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_refusals_are_in_tensorflow_servings_words(feeds, text):
    servable = batched(Doubler())
    with pytest.raises(StatusError) as raised:
        servable.run(feeds, [])
    assert (raised.value.code, raised.value.message) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    servable.close()


def test_a_full_queue_is_unavailable(pool):
    doubler = Doubler()
    doubler.go_on.clear()
    servable = batched(doubler, max_batch_size=1, max_enqueued_batches=1)
    running = pool.submit(servable.run, rows(1), ["y"])
    assert doubler.entered.wait(WAIT)
    waiting = pool.submit(servable.run, rows(2), ["y"])
    while not servable._waiting:
        pass
    with pytest.raises(StatusError, match=r"batch scheduling queue .* is full") as raised:
        servable.run(rows(3), ["y"])
    assert raised.value.code == grpc.StatusCode.UNAVAILABLE
    doubler.go_on.set()
    assert [job.result(WAIT)[0].tolist() for job in (running, waiting)] == [[[2]], [[4]]]
    servable.close()


def test_a_bad_row_spoils_its_own_request_only(pool):
    doubler = Doubler()
    servable = batched(doubler)
    good = pool.submit(servable.run, rows(1, 2), ["y"])
    bad = pool.submit(servable.run, rows(3, -1), ["y"])
    assert good.result(WAIT)[0].ravel().tolist() == [2, 4]
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad row 1"):
        bad.result(WAIT)
    servable.close()


def test_a_request_past_its_deadline_is_not_run(pool):
    doubler = Doubler()
    doubler.go_on.clear()
    servable = batched(doubler, max_batch_size=1)
    running = pool.submit(servable.run, rows(1), ["y"])
    assert doubler.entered.wait(WAIT)
    with pytest.raises(StatusError) as raised:
        servable.run(rows(2), ["y"], timeout=0.01)
    assert raised.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
    doubler.go_on.set()
    assert running.result(WAIT)[0].tolist() == [[2]]
    servable.close()
    assert doubler.runs == [[[1]]]


def test_closing_runs_what_waits_first(pool):
    doubler = Doubler()
    servable = batched(doubler)
    waiting = pool.submit(servable.run, rows(1), ["y"])
    while not servable._waiting:
        pass
    servable.close()
    assert waiting.result(WAIT)[0].tolist() == [[2]]


def test_what_has_no_batch_dimension_runs_alone():
    doubler = Doubler()
    servable = batched(doubler)
    assert servable.run({"s": np.float32([[7]])}, ["t"])[0].tolist() == [[14]]
    servable.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 3))
def test_everyone_gets_the_answer_to_his_own_rows(sizes, threads):
    servable = batched(Doubler(), timeout_seconds=0.001, max_enqueued_batches=100, threads=threads)
    requests = [rows(*(100 * index + np.arange(size))) for index, size in enumerate(sizes)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda feeds: servable.run(feeds, ["y"])[0], requests))
    servable.close()
    for feeds, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer, feeds["x"] * 2)
