"""Files of predictions: parts in Parquet, which are joined into a submission CSV or a Parquet file.

Source of the CSV: paper, Submission file.
"""

import csv
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.base.addresses import check_address
from trainer.base.directories import check_file, check_replaced
from trainer.base.errors import UserError
from trainer.base.files import is_local, open_file
from trainer.base.whole import whole_file

_SCHEMA = pa.schema(
    [
        ("VideoId", pa.string()),
        ("classes", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float32())),
    ]
)

_PART_SCHEMA = _SCHEMA.append(pa.field("offset", pa.int64()))
"""Columns of a part, which also says where in its input file the record of a video stands."""

_HEADER = ("VideoId", "LabelConfidencePairs")

_BEGINNINGS = {".csv": ",".join(_HEADER).encode(), ".parquet": b"PAR1"}
"""What files of predictions begin with, by the ending of their names."""


def check_ending(path: str) -> None:
    """Checks that a file of predictions can be written under this name.

    Raises:
        UserError: The name does not end in .csv or .parquet, is no valid address, no file can be written there, or
            the file that is there is none of predictions.
    """
    check_address(path, "--out", any_scheme=True)
    ending = os.path.splitext(path)[1]
    if ending not in _BEGINNINGS:
        raise UserError(f"{path}: predictions are written as {' or '.join(_BEGINNINGS)}; give such a name")
    if is_local(path):
        check_file(path, "--out")
        check_replaced(path, "--out", _BEGINNINGS[ending], f"{ending} file of predictions")


class PartWriter:
    """Writes a part, which appears under its name when it is whole.

    Example:
        with PartWriter("part-0") as part:
            part.add([b"id"], classes, scores, [0])

    Args:
        path: Path of the part, local or in a bucket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open = ExitStack()

    def add(
        self, ids: Sequence[bytes], classes: np.ndarray, scores: np.ndarray, offsets: Sequence[int]
    ) -> None:
        """Adds B videos.

        Args:
            ids: Ids of the videos.
            classes: Their best classes, int64 [B, k].
            scores: Scores of these classes, float32 [B, k].
            offsets: Places of their records, in bytes of the uncompressed input file.
        """
        columns = [
            pa.array([video.decode(errors="backslashreplace") for video in ids], pa.string()),
            pa.array(classes.tolist(), _SCHEMA.field("classes").type),
            pa.array(scores.tolist(), _SCHEMA.field("scores").type),
            pa.array(offsets, _PART_SCHEMA.field("offset").type),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=_PART_SCHEMA))

    def __enter__(self) -> "PartWriter":
        unfinished = self._open.enter_context(whole_file(self._path))
        self._writer = self._open.enter_context(pq.ParquetWriter(unfinished, _PART_SCHEMA))
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)


def count_videos(part: str) -> int:
    """Returns the number of videos in a part."""
    return pq.read_metadata(_source(part)).num_rows


def read_ids(part: str) -> tuple[list[bytes], list[int]]:
    """Returns the ids of the videos in a part, as they are written there, and the offsets of their records."""
    table = pq.read_table(_source(part), columns=["VideoId", "offset"])
    return [text.encode() for text in table["VideoId"].to_pylist()], table["offset"].to_pylist()


def join_parts(parts: Sequence[str], kept: Sequence[np.ndarray], path: str) -> None:
    """Writes the videos of all parts, in order, to a file, which appears when it is whole.

    Args:
        parts: Paths of the parts.
        kept: For each part bool[N], which of its N videos are written.
        path: Path of the .csv or .parquet file.
    """
    tables = (
        pq.read_table(_source(part), columns=_SCHEMA.names).filter(pa.array(mask))
        for part, mask in zip(parts, kept, strict=True)
    )
    write = _write_csv if path.endswith(".csv") else _write_parquet
    with whole_file(path) as unfinished:
        write(tables, unfinished)


def _source(part: str) -> Any:
    """Returns what pyarrow can read a part from."""
    if is_local(part):
        return part
    with open_file(part, "rb") as file:
        return pa.BufferReader(file.read())


def _write_csv(tables: Iterable[pa.Table], path: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        for table in tables:
            for video in table.to_pylist():
                pairs = zip(video["classes"], video["scores"], strict=True)
                text = " ".join(f"{index} {score:.6g}" for index, score in pairs)
                writer.writerow((video["VideoId"], text))


def _write_parquet(tables: Iterable[pa.Table], path: str) -> None:
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for table in tables:
            writer.write_table(table)
