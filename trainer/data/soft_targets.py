"""Soft targets: what a teacher says of each video, sparse and by the video's id.

A directory holds `teacher.json`, which says by which model and how they were made, and one Parquet file for each file
of videos that was scored, with a row for each video: its id, the numbers of its classes, and their probabilities as
16-bit whole numbers. A video takes 16 bytes and 4 for each of its classes, in memory as well as on the disk: of a
video's 300 frames, which take 345,600 bytes, 0.04 % at most.

Legend: N videos, V classes.
"""

import hashlib
import json
import posixpath
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trainer.base.errors import UserError
from trainer.base.files import exists, is_local, make_dirs, open_file
from trainer.base.whole import whole_file
from trainer.data.video_ids import digests

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow as tf

    _Array = TypeVar("_Array", np.ndarray, tf.Tensor)

MAX_CLASSES = 32
"""Classes that are kept of a video at most."""
_SCALE = np.float32(65_535)
"""A probability is stored as the nearest multiple of 1 / 65,535. Float16 has steps of 1 / 2,048 below 1, where the
probability that a class is *not* there would be lost.
"""
_MANIFEST = "teacher.json"
_COLUMNS = ("id", "classes", "probabilities")


@dataclass(frozen=True, kw_only=True)
class TeacherManifest:
    """What soft targets were made of. Equal manifests mean equal soft targets.

    Attributes:
        models: Identity of each model that scored; with several, file i was scored by model i modulo their number.
        num_classes: V.
        threshold: Least probability that is kept.
        max_classes: Classes that are kept of a video at most.
        files: Name, bytes and, where known, CRC-32C of each file of videos, in order.
    """

    models: tuple[str, ...]
    num_classes: int
    threshold: float
    max_classes: int
    files: tuple[tuple[str, int] | tuple[str, int, str], ...]

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self._text()).hexdigest()

    def write(self, directory: str) -> None:
        """Writes the manifest, which makes a directory one of soft targets."""
        make_dirs(directory)
        with open_file(posixpath.join(directory, _MANIFEST), "wb") as file:
            file.write(self._text())

    @classmethod
    def read(cls, directory: str) -> "TeacherManifest | None":
        """Reads the manifest of a directory; None where there is none, or none of this version."""
        path = posixpath.join(directory, _MANIFEST)
        if not exists(path):
            return None
        with open_file(path, "rb") as file:
            content = file.read()
        try:
            values: dict[str, Any] = json.loads(content)
            return cls(
                **values
                | {
                    "models": tuple(values["models"]),
                    "files": tuple(map(tuple, values["files"])),
                }
            )
        except (ValueError, KeyError, TypeError):
            return None

    def _text(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()


class SoftTargetWriter:
    """Writes the soft targets of one file of videos, which appear under their name when they are whole.

    Example:
        with SoftTargetWriter("soft_targets/000000.parquet", threshold=1e-3) as writer:
            writer.add([b"id"], scores)

    Args:
        path: Path of the file, local or in a bucket.
        threshold: Least probability that is kept.
        max_classes: Classes that are kept of a video at most, those with the largest probabilities.
    """

    def __init__(self, path: str, threshold: float, max_classes: int = MAX_CLASSES) -> None:
        self._path, self._threshold, self._max_classes = path, threshold, max_classes
        self._open = ExitStack()

    def add(self, ids: Sequence[bytes], scores: np.ndarray) -> None:
        """Adds N videos with their probabilities, float32 [N, V] in [0, 1]."""
        import pyarrow as pa

        least = np.full(len(scores), self._threshold, np.float32)
        if scores.shape[1] > self._max_classes:
            # What follows sorts, so as few values as can be go there: ties with the last that is kept, and no others.
            least = np.maximum(least, np.partition(scores, -self._max_classes)[:, -self._max_classes])
        rows, classes = np.nonzero(scores >= least[:, np.newaxis])
        # Of each video the most probable first, and of equal ones the first; nonzero goes row by row.
        order = np.lexsort((classes, -scores[rows, classes], rows))
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = order[place < self._max_classes]
        rows, classes = rows[kept], classes[kept]
        counts = np.bincount(rows, minlength=len(ids))
        values = np.rint(np.clip(scores[rows, classes], 0, 1) * _SCALE).astype(np.uint16)
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        columns = [
            pa.array(ids, pa.binary()),
            pa.ListArray.from_arrays(offsets, pa.array(classes.astype(np.uint16))),
            pa.ListArray.from_arrays(offsets, pa.array(values)),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, names=_COLUMNS))

    def __enter__(self) -> "SoftTargetWriter":
        # Imported here, or every verb that reads a recipe would wait for it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = pa.list_(pa.uint16())
        schema = pa.schema(list(zip(_COLUMNS, (pa.binary(), numbers, numbers), strict=True)))
        unfinished = self._open.enter_context(whole_file(self._path))
        self._writer = self._open.enter_context(pq.ParquetWriter(unfinished, schema))
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)


def part_path(directory: str, index: int) -> str:
    """Returns the path of the soft targets of the file of videos with a number."""
    return posixpath.join(directory, f"{index:06d}.parquet")


def count_entries(path: str) -> tuple[int, int]:
    """Returns the number of videos in a file of soft targets, and that of their classes together."""
    table = _read(path, ["classes"])
    return table.num_rows, sum(len(chunk.flatten()) for chunk in table["classes"].chunks)


class SoftTargets:
    """The soft targets of a directory, all in memory.

    Args:
        directory: Directory of `teacher.json`, local or in a bucket.

    Attributes:
        manifest: What they were made of.

    Raises:
        UserError: There are none, or they are not whole.
    """

    def __init__(self, directory: str) -> None:
        manifest = TeacherManifest.read(directory)
        if manifest is None:
            raise UserError(
                f"{directory} holds no soft targets, there is no {_MANIFEST}: run the Teacher again"
            )
        self.manifest = manifest
        ids, counts, classes, values = [], [], [], []
        for index, (name, *_) in enumerate(manifest.files):
            path = part_path(directory, index)
            if not exists(path):
                raise UserError(f"{path}, the soft targets of {name}, is missing: run the Teacher again")
            table = _read(path, _COLUMNS)
            ids.append(digests(table["id"].to_pylist()))
            for chunk in table["classes"].chunks:
                counts.append(np.diff(chunk.offsets.to_numpy()))
                classes.append(chunk.flatten().to_numpy())
            values.extend(chunk.flatten().to_numpy() for chunk in table["probabilities"].chunks)
        if not any(map(len, ids)):
            raise UserError(f"{directory} holds the soft targets of no video: run the Teacher again")
        all_ids = np.concatenate(ids)
        order = np.argsort(all_ids)
        self._ids = all_ids[order]
        # Where the classes of each id begin and how many there are; the classes stay in the order of the files.
        lengths = np.concatenate(counts)
        self._begins, self._counts = (np.cumsum(lengths) - lengths)[order], lengths[order]
        self._classes, self._values = np.concatenate(classes), np.concatenate(values)

    def __len__(self) -> int:
        return len(self._ids)

    def blend(self, ids: Sequence[bytes], targets: np.ndarray, weight: float, temperature: float) -> int:
        """Blends the teacher's probabilities into targets, for the videos that the teacher has seen.

        Args:
            ids: Ids of N videos.
            targets: float32 [N, V], 1 for labels and 0 for other classes; changed in place to
                `weight * teacher + (1 - weight) * targets`. Videos that are not known keep theirs.
            weight: Share of the teacher, 0 to 1.
            temperature: The teacher's probabilities p become sigmoid(logit(p) / temperature).

        Returns:
            Number of videos that were known.
        """
        wanted = digests(ids)
        places = np.minimum(np.searchsorted(self._ids, wanted), len(self._ids) - 1)
        known = np.flatnonzero(self._ids[places] == wanted)
        targets[known] *= 1.0 - weight
        counts = self._counts[places[known]]
        rows = np.repeat(known, counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = np.repeat(self._begins[places[known]], counts) + within
        values = self._values[entries] / _SCALE
        targets[rows, self._classes[entries]] += weight * softened(values, temperature)
        return len(known)


def softened(probabilities: "_Array", temperature: float) -> "_Array":
    """Returns sigmoid(logit(p) / temperature) of an array or tensor float32: 1 leaves p as it is, more softens it.

    >>> softened(np.float32([0.0, 0.2, 0.5, 1.0]), 2.0).round(3).tolist()
    [0.0, 0.333, 0.5, 1.0]
    """
    if temperature == 1.0:
        return probabilities
    powers = probabilities ** (1.0 / temperature)
    others = (1.0 - probabilities) ** (1.0 / temperature)
    return powers / (powers + others)


def _read(path: str, columns: Sequence[str]) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if is_local(path):
            return pq.read_table(path, columns=list(columns))
        with open_file(path, "rb") as file:
            return pq.read_table(pa.BufferReader(file.read()), columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path} cannot be read as soft targets ({' '.join(str(error).split())}): remove it and run the Teacher "
            "again"
        ) from error
