"""The curves of a training run, from the event files that it wrote for TensorBoard.

The files are TFRecord files of `Event` messages (tensorboard/compat/proto/event.proto), so that reading them needs
no TensorFlow.
"""

import math
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from components.report_file import ReportPart
from components.run_report.units import is_number
from trainer.data.tfrecord import Record, read_records

TAGS = ("loss", "learning_rate", "examples_per_second", "gap")
"""What the Trainer logs and a report shows."""
POINTS = 300
"""Most points of a curve: about as many as a picture has columns."""


class Curve(ReportPart):
    """One number over the steps of a training."""

    steps: tuple[int, ...] = Field(description="Training steps, ascending.")
    values: tuple[float, ...] = Field(description="The value at each step.")

    def finite(self) -> list[tuple[int, float]]:
        """Returns the points whose value is a finite number; the loss of a training that diverged is not."""
        pairs = zip(self.steps, self.values, strict=True)
        return [(step, value) for step, value in pairs if is_number(value)]


def read_curves(event_files: Iterable[str]) -> dict[str, Curve]:
    """Reads the curves of one variant.

    A run that was killed goes on in another file and repeats the steps since its last state: of two values of one
    step the later one counts. A file may end in the middle of a record.

    Args:
        event_files: TensorBoard's event files, from the directory `logs` of the run.

    Returns:
        The curves of the TAGS that were logged, by tag. Of more than 300 points, runs of neighbours are one point:
        the last one's step and the mean of the values.
    """
    # With TensorFlow's packages and not with its runtime.
    from tensorboard.compat.proto.event_pb2 import Event

    found: dict[str, dict[int, tuple[float, float]]] = {}
    for path in event_files:
        for record in read_records(path):
            if not isinstance(record, Record):
                break
            event = Event.FromString(record.data)
            for value in event.summary.value:
                if value.tag not in TAGS or (not value.tensor.float_val and not value.tensor.tensor_content):
                    continue
                points = found.setdefault(value.tag, {})
                if event.wall_time >= points.get(event.step, (0.0, 0.0))[0]:
                    points[event.step] = (event.wall_time, _scalar(value.tensor))
    return {tag: _thinned(found[tag]) for tag in TAGS if tag in found}


def _scalar(tensor: Any) -> float:
    """A float32 tensor of no dimensions, in either of the two forms of TensorProto."""
    if tensor.float_val:
        return tensor.float_val[0]
    return memoryview(tensor.tensor_content).cast("f")[0]


def _thinned(points: dict[int, tuple[float, float]]) -> Curve:
    ordered = [(step, value) for step, (_, value) in sorted(points.items()) if math.isfinite(value)]
    width = math.ceil(len(ordered) / POINTS) or 1
    groups = [ordered[start : start + width] for start in range(0, len(ordered), width)]
    return Curve(
        steps=tuple(group[-1][0] for group in groups),
        values=tuple(float(f"{sum(value for _, value in group) / len(group):.6g}") for group in groups),
    )
