"""Runs requests that arrive at about the same time as one batch.

A batch closes when it is full or its first request has waited long enough; a few threads run closed batches in
turn. The rules and the texts are those of TensorFlow Serving's batching, with two differences: requests of unlike
shapes are never padded to fit, they go into batches of their own; and when a batch fails, each of its requests
is run alone, so that a bad video spoils nobody else's answer and is named by its row in its own request.

Legend: B rows (videos) of a batch.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import grpc
import numpy as np

from serving.server.models.servable import Servable
from serving.server.status import StatusError, invalid_argument


@dataclass(frozen=True, kw_only=True)
class BatchingConfig:
    """How requests are batched.

    Attributes:
        max_batch_size: Largest number of rows B of a batch; a request with more rows is refused.
        timeout_seconds: Longest time that a request waits for others.
        max_enqueued_batches: Most batches that wait; a request that would begin another one is refused.
        threads: Number of batches that run at once.
    """

    max_batch_size: int = 16
    timeout_seconds: float = 0.002
    max_enqueued_batches: int = 8
    threads: int = 1


_Key = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of the tensors fed and fetched."""


@dataclass(frozen=True, eq=False)
class _Task:
    feeds: Mapping[str, np.ndarray]
    rows: int
    enqueued: float
    answer: "Future[list[np.ndarray]]" = field(default_factory=Future)


@dataclass(eq=False)
class _Batch:
    key: _Key
    row_shapes: tuple[tuple[int, ...], ...]
    """The shape of each fed tensor, without its first dimension."""
    closes: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0
    closed: bool = False


class BatchedServable:
    """A Servable whose requests are batched where the signature allows it; it is used as one.

    Args:
        servable: Runs the batches; it is closed when this one is.
        config: The sizes and the waiting times of batches.
        on_batch: Is called with the number of rows of each batch that runs, and with the seconds that each of its
            requests waited.
    """

    def __init__(
        self,
        servable: Servable,
        config: BatchingConfig,
        on_batch: Callable[[int, Sequence[float]], None] = lambda rows, waited: None,
    ) -> None:
        self.name, self.version = servable.name, servable.version
        self.signatures = servable.signatures
        self._servable = servable
        self._config = config
        self._on_batch = on_batch
        self._batchable = {
            info.name
            for signature in servable.signatures.values()
            for info in (*signature.inputs.values(), *signature.outputs.values())
            if info.tensor_shape.dim and info.tensor_shape.dim[0].size == -1
        }
        self._changed = threading.Condition()
        self._waiting: deque[_Batch] = deque()
        self._open: dict[_Key, _Batch] = {}
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{self.name}", daemon=True)
            for _ in range(config.threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout: float | None = None
    ) -> list[np.ndarray]:
        """Runs the graph on these rows, maybe together with those of other requests.

        Args:
            feeds: Arrays by tensor name, of exactly the tensors' types.
            fetches: Names of tensors.
            timeout: Seconds to wait for the answer; None waits for as long as it takes.

        Returns:
            The arrays of `fetches`, in that order.

        Raises:
            tf.errors.OpError: As the graph does.
            StatusError: If the request is too large (INVALID_ARGUMENT), the queue is full (UNAVAILABLE) or
                `timeout` seconds have passed (DEADLINE_EXCEEDED).
        """
        rows = self._rows(feeds) if self._batchable.issuperset((*feeds, *fetches)) else 0
        if not rows:
            return self._servable.run(feeds, fetches)
        task = self._enqueue((tuple(sorted(feeds)), tuple(fetches)), feeds, rows)
        try:
            return task.answer.result(timeout)
        except TimeoutError:
            task.answer.cancel()  # without effect when it runs already
            raise StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request's batch was done"
            ) from None

    def close(self) -> None:
        """Runs what waits, then frees the memory."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._servable.close()

    def _rows(self, feeds: Mapping[str, np.ndarray]) -> int:
        if any(array.ndim == 0 for array in feeds.values()):
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        sizes = {array.shape[0] for array in feeds.values()}
        if len(sizes) > 1:
            raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
        (rows,) = sizes or (0,)
        if rows > self._config.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {self._config.max_batch_size}"
            )
        return rows

    def _enqueue(self, key: _Key, feeds: Mapping[str, np.ndarray], rows: int) -> _Task:
        row_shapes = tuple(feeds[name].shape[1:] for name in key[0])
        task = _Task(feeds, rows, time.monotonic())
        with self._changed:
            batch = self._open.get(key)
            if batch is not None and (
                batch.row_shapes != row_shapes or batch.rows + rows > self._config.max_batch_size
            ):
                batch.closed, batch = True, None
            if batch is None:
                if len(self._waiting) >= self._config.max_enqueued_batches:
                    raise StatusError(
                        grpc.StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                batch = _Batch(key, row_shapes, task.enqueued + self._config.timeout_seconds)
                self._waiting.append(batch)
                self._open[key] = batch
            batch.tasks.append(task)
            batch.rows += rows
            batch.closed = batch.rows == self._config.max_batch_size
            self._changed.notify_all()
        return task

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            self._run_batch(batch)

    def _next(self) -> _Batch | None:
        """Waits for a batch to run; None when there will be no more."""
        with self._changed:
            while True:
                now = time.monotonic()
                for batch in self._waiting:
                    if batch.closed or batch.closes <= now or self._stopping:
                        self._waiting.remove(batch)
                        if self._open.get(batch.key) is batch:
                            del self._open[batch.key]
                        return batch
                if self._stopping:
                    return None
                first = min((batch.closes for batch in self._waiting), default=None)
                self._changed.wait(None if first is None else first - now)

    def _run_batch(self, batch: _Batch) -> None:
        begin = time.monotonic()
        tasks = [task for task in batch.tasks if task.answer.set_running_or_notify_cancel()]
        if not tasks:
            return
        self._on_batch(sum(task.rows for task in tasks), [begin - task.enqueued for task in tasks])
        try:
            self._run_together(batch.key, tasks)
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].answer.set_exception(error)
                return
            for task in tasks:
                try:
                    self._run_together(batch.key, [task])
                except Exception as own_error:
                    task.answer.set_exception(own_error)

    def _run_together(self, key: _Key, tasks: Sequence[_Task]) -> None:
        feed_names, fetches = key
        feeds = {
            name: tasks[0].feeds[name]
            if len(tasks) == 1
            else np.concatenate([task.feeds[name] for task in tasks])
            for name in feed_names
        }
        outputs = self._servable.run(feeds, fetches)
        rows = sum(task.rows for task in tasks)
        if any(output.shape[:1] != (rows,) for output in outputs):
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                "the input tensors",
            )
        ends = np.cumsum([task.rows for task in tasks])
        for task, end in zip(tasks, ends, strict=True):
            task.answer.set_result([output[end - task.rows : end] for output in outputs])
