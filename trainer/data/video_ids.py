"""Which videos were seen before: a video is its id, in whatever file it stands.

An id is remembered by 16 bytes of its hash (BLAKE2b). Of the 6.1 million ids of the data set two have the same 128
bits with a probability of 1e-25, so ids themselves need not be kept.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

DIGEST = np.dtype("S16")
"""The hash of an id."""

UNSEEN = -1


def digest(video_id: bytes) -> bytes:
    """The 16 bytes that stand for an id."""
    return hashlib.blake2b(video_id, digest_size=DIGEST.itemsize).digest()


def digests(video_ids: Iterable[bytes]) -> np.ndarray:
    """DIGEST[N] of N ids."""
    return np.frombuffer(b"".join(map(digest, video_ids)), DIGEST)


class SeenIds:
    """The ids of the files that were added, and in which file each stood first.

    20 bytes an id, and as much again while it grows. Sorted runs of growing size are kept, and two of about the same
    size become one, so that each id is moved a few times only.

    >>> seen = SeenIds()
    >>> seen.add(0, digests([b"a", b"b"])).tolist()
    [-1, -1]
    >>> seen.add(1, digests([b"b", b"c", b"c"])).tolist()
    [0, -1, 1]
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, file: int, ids: np.ndarray) -> np.ndarray:
        """Adds the ids of a file, or of its next part.

        Args:
            file: Number of the file.
            ids: DIGEST[N], in the order of the file.

        Returns:
            int32[N]: the file in which the id stood before, or UNSEEN. A second one in the same file has its number.
        """
        earlier = np.full(len(ids), UNSEEN, np.int32)
        high, low = np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2).T
        for run in self._runs:
            places = np.minimum(np.searchsorted(run.high, high), len(run.high) - 1)
            found = (run.high[places] == high) & (run.low[places] == low)
            earlier[found] = run.files[places[found]]
        unseen = np.flatnonzero(earlier == UNSEEN)
        _, first, which = np.unique(high[unseen], return_index=True, return_inverse=True)
        firsts = unseen[first][which.ravel()]
        earlier[unseen[(firsts != unseen) & (low[firsts] == low[unseen])]] = file
        new = unseen[first]
        if len(new):
            self._runs.append(_Run(high[new], low[new], np.full(len(new), file, np.int32)))
            while len(self._runs) > 1 and len(self._runs[-2].high) < 2 * len(self._runs[-1].high):
                self._runs.append(_merged(self._runs.pop(), self._runs.pop()))
        return earlier


class _Run(NamedTuple):
    """Some ids, sorted by the first half of their hashes.

    Where two ids have the same first half (in 6.1 million ids with a probability of 1e-6), a repetition of the second
    one is not noticed. No id is ever taken for another one.
    """

    high: np.ndarray
    """uint64[N], ascending: the first halves."""
    low: np.ndarray
    """uint64[N]: the second halves."""
    files: np.ndarray
    """int32[N]: where they stood first."""


def _merged(one: _Run, other: _Run) -> _Run:
    places = np.searchsorted(other.high, one.high)
    return _Run(*(np.insert(into, places, values) for into, values in zip(other, one, strict=True)))
