"""The Beam pipeline of ExampleGen: one element an input file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import apache_beam as beam
from apache_beam.metrics import Metrics

from components.example_gen.convert import ShardResult, ShardTask, convert_shard
from trainer.errors import UserError
from trainer.files import open_file

COUNTERS = "yt8m/ExampleGen"
"""Namespace of the Beam counters files, videos, frames, labels, rejected and rejected_<reason>: for watching
a running job. A bundle that is done again counts again; the report does not."""


class ConvertShard(beam.DoFn):
    """ShardTask to ShardResult, and its counts to the counters."""

    def process(self, task: ShardTask) -> Iterable[ShardResult]:
        """Reads one file and writes its shards."""
        try:
            result = convert_shard(task)
        except UserError as error:
            # Beam would wrap it in an exception that no longer says whose fault it is.
            result = ShardResult(split=task.split, index=task.index, error=str(error))
        counts = {"files": 1, "videos": result.videos, "frames": result.frames, "labels": result.labels}
        counts["rejected"] = sum(result.rejected.values())
        counts.update({f"rejected_{reason}": count for reason, count in result.rejected.items()})
        for name, count in counts.items():
            Metrics.counter(COUNTERS, name).inc(count)
        yield result


class WriteResults(beam.DoFn):
    """The list of all results to a JSON file, from which the process that started the pipeline reads them."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, results: list[ShardResult]) -> Iterable[None]:
        """Writes them in the order of the shards; gives nothing on."""
        ordered = sorted(results, key=lambda result: (result.split, result.index))
        with open_file(self._path, "wb") as file:
            file.write(json.dumps([asdict(result) for result in ordered]).encode())
        return ()


def add_steps(pipeline: beam.Pipeline, tasks: Sequence[ShardTask], results_path: str) -> None:
    """Adds to the pipeline: all tasks, done anywhere in any order, and their results in one file."""
    _ = (
        pipeline
        | "Files" >> beam.Create(list(tasks), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Convert" >> beam.ParDo(ConvertShard())
        | "Gather" >> beam.combiners.ToList()
        | "WriteResults" >> beam.ParDo(WriteResults(results_path))
    )


def read_results(path: str) -> list[ShardResult]:
    """What `WriteResults` wrote.

    Raises:
        UserError: A file could not be read.
    """
    with open_file(path, "rb") as file:
        results = [ShardResult(**row) for row in json.loads(file.read())]
    for result in results:
        if result.error:
            raise UserError(result.error)
    return results
