"""The Beam pipeline of ExampleGen: one element an input file.

A file is checked wherever there is a worker, unless its check is kept. The ids of its videos go, as hashes, to the one
of 16 buckets that they belong to, in which the second records of a video are found: that of the first file in the order
of the paths stays, however the work was divided. Files that have such records are then looked at again, without them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.metrics import Metrics

from components.example_gen.convert import ShardResult, ShardTask, convert_shard
from components.example_gen.distribution import Distribution
from trainer.base.errors import UserError
from trainer.base.files import open_file
from trainer.data.checks.file_check import VIDEO
from trainer.data.video_ids import DIGEST, UNSEEN, SeenIds

COUNTERS = "yt8m/ExampleGen"
"""Namespace of the Beam counters files, videos, frames, labels, unlabelled, duplicates, rejected and
rejected_<reason>: for watching a running job. A bundle that is done again counts again; the report does not."""


_BUCKETS = 16
"""A worker that finds duplicates holds a 16th of the ids: of the 6.1 million of the data set, 381,000."""
_IDS, _DISTRIBUTIONS = "ids", "distributions"

_DISTRIBUTIONS_END = ".distributions"

BucketIds = tuple[str, bytes, bytes]
"""The ids of one file in one bucket: its path, int32 places among the valid videos of the file, and their hashes."""


class ConvertShard(beam.DoFn):
    """Turns a ShardTask into (path, (task, result)), adds to the counters, and gives the ids to the output `ids`."""

    def process(self, task: ShardTask) -> Iterable[Any]:
        """Checks one file, or takes the check that is kept of it."""
        result = _converted(task)
        counts = {"files": 1, "videos": result.videos, "frames": result.frames, "labels": result.labels}
        if check := result.check:
            counts["unlabelled"] = check.unlabelled
            counts["rejected"] = sum(check.rejected.values())
            counts.update({f"rejected_{reason}": count for reason, count in check.rejected.items()})
        for name, count in counts.items():
            Metrics.counter(COUNTERS, name).inc(count)
        for bucket, ids in _bucket_ids(task.path, result):
            yield pvalue.TaggedOutput(_IDS, (bucket, ids))
        if result.distribution:
            yield pvalue.TaggedOutput(_DISTRIBUTIONS, ((task.split, task.span), result.distribution))
        yield task.path, (task, _without_rows(result))


def _converted(task: ShardTask, originals: Mapping[int, str] | None = None) -> ShardResult:
    try:
        return convert_shard(task, originals)
    except UserError as error:
        # Beam would wrap it in an exception that no longer says whose fault it is.
        return ShardResult(split=task.split, index=task.index, error=str(error))


def _bucket_ids(path: str, result: ShardResult) -> Iterator[tuple[int, BucketIds]]:
    if result.check is None:
        return
    rows = result.check.rows
    places = np.flatnonzero(rows["labels"]).astype(np.int32)  # videos without labels are left out anyway
    ids = np.ascontiguousarray(rows["id"][places])
    buckets = ids.view(np.uint8).reshape(-1, DIGEST.itemsize)[:, 0] % _BUCKETS
    for bucket in np.unique(buckets).tolist():
        chosen = buckets == bucket
        yield bucket, (path, places[chosen].tobytes(), ids[chosen].tobytes())


def _without_rows(result: ShardResult) -> ShardResult:
    check = result.check and replace(result.check, rows=np.empty(0, VIDEO))
    return replace(result, check=check, distribution=None)


class FindDuplicates(beam.DoFn):
    """Turns (bucket, ids of all files in it) into (path, {place of a video: the file where it stood first})."""

    def process(self, element: tuple[int, Iterable[BucketIds]]) -> Iterable[tuple[str, dict[int, str]]]:
        """Goes through the files in the order of their paths."""
        _, files = element
        seen, paths = SeenIds(), []
        for path, places, ids in sorted(files):
            earlier = seen.add(len(paths), np.frombuffer(ids, DIGEST))
            paths.append(path)
            repeated = np.flatnonzero(earlier != UNSEEN)
            if len(repeated):
                where = np.frombuffer(places, np.int32)
                yield path, {int(where[index]): paths[earlier[index]] for index in repeated}


class LeaveOutDuplicates(beam.DoFn):
    """Turns (path, {shards: [(task, result)], duplicates: those of each bucket}) into a result without duplicates."""

    def process(self, element: tuple[str, dict[str, Iterable[Any]]]) -> Iterable[ShardResult]:
        """Leaves them out of the file's result, where it has any."""
        _, found = element
        originals = {place: file for one in found["duplicates"] for place, file in one.items()}
        for task, result in found["shards"]:
            if originals:
                Metrics.counter(COUNTERS, "duplicates").inc(len(originals))
                yield _without_rows(_converted(task, originals))
            else:
                yield result


def _total(parts: Iterable[Any]) -> Any:
    found = list(parts)
    return (
        Distribution.total(found, len(found[0].classes)) if found else None
    )  # an accumulator without any yet


class WriteDistributions(beam.DoFn):
    """Writes the list of all ((split, span), distribution) to a JSON file beside the results."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, found: list[Any]) -> Iterable[None]:
        """Writes them in order; no element leaves this step."""
        rows = [
            [*key, distribution.document()] for key, distribution in sorted(found, key=lambda one: one[0])
        ]
        with open_file(self._path, "wb") as file:
            file.write(json.dumps(rows).encode())
        return ()


class WriteResults(beam.DoFn):
    """Writes the list of all results to a JSON file, from which the process that started the pipeline reads it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, results: list[ShardResult]) -> Iterable[None]:
        """Writes the results in the order of the shards; no element leaves this step."""
        ordered = sorted(results, key=lambda result: (result.split, result.index))
        with open_file(self._path, "wb") as file:
            file.write(json.dumps([result.document() for result in ordered]).encode())
        return ()


def add_steps(pipeline: beam.Pipeline, tasks: Sequence[ShardTask], results_path: str) -> None:
    """Adds the steps to a Beam pipeline.

    Args:
        pipeline: The pipeline that the steps are added to.
        tasks: One task for each input file. They are done on any machine, in any order.
        results_path: File that the results of all tasks are written to.
    """
    converted = (
        pipeline
        | "Files" >> beam.Create(list(tasks), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Convert" >> beam.ParDo(ConvertShard()).with_outputs(_IDS, _DISTRIBUTIONS, main="shards")
    )
    duplicates = (
        converted[_IDS] | "ByBucket" >> beam.GroupByKey() | "FindDuplicates" >> beam.ParDo(FindDuplicates())
    )
    _ = (
        converted[_DISTRIBUTIONS]
        | "AddUp" >> beam.CombinePerKey(_total)
        | "GatherDistributions" >> beam.combiners.ToList()
        | "WriteDistributions" >> beam.ParDo(WriteDistributions(f"{results_path}{_DISTRIBUTIONS_END}"))
    )
    _ = (
        {"shards": converted.shards, "duplicates": duplicates}
        | "ByFile" >> beam.CoGroupByKey()
        | "LeaveOutDuplicates" >> beam.ParDo(LeaveOutDuplicates())
        | "Gather" >> beam.combiners.ToList()
        | "WriteResults" >> beam.ParDo(WriteResults(results_path))
    )


def read_distributions(path: str) -> dict[tuple[str, int], Distribution]:
    """Reads the distributions of the videos of each split and span.

    Args:
        path: The file of results.
    """
    with open_file(f"{path}{_DISTRIBUTIONS_END}", "rb") as file:
        return {(split, span): Distribution.of_document(row) for split, span, row in json.loads(file.read())}


def read_results(path: str) -> list[ShardResult]:
    """Reads what `WriteResults` wrote.

    Args:
        path: The file of results.

    Raises:
        UserError: If an input file could not be read.
    """
    with open_file(path, "rb") as file:
        results = [ShardResult.of_document(row) for row in json.loads(file.read())]
    for result in results:
        if result.error:
            raise UserError(result.error)
    return results
