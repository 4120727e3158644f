"""TFDV's statistics of one file's videos, in a form that can be merged with those of others."""

import pickle
import zlib
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

STATISTICS = f"statistics-{version('tensorflow-data-validation')}.pickle"
"""Name of the file beside a kept check. The accumulators are TFDV's own, and no other version's."""


def partial_statistics(videos: Sequence[tuple[bytes, Sequence[int], int]]) -> bytes:
    """Computes the statistics of videos as far as they can be merged with those of others.

    Args:
        videos: Id, labels and number of frames of each video; at least one.
    """
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    ids, labels, frames = zip(*videos, strict=True)
    numbers = pa.large_list(pa.int64())
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([[one] for one in ids], pa.large_list(pa.large_binary())),
            pa.array([list(one) for one in labels], numbers),
            pa.array([[one] for one in frames], numbers),
        ],
        ["id", "labels", "num_frames"],
    )
    generators = _generators()
    partial = stats_impl.generate_partial_statistics_in_memory(batch, tfdv.StatsOptions(), generators)
    compact = [generator.compact(one) for generator, one in zip(generators, partial, strict=True)]
    return zlib.compress(pickle.dumps(compact), 1)


def merged_statistics(partials: Iterable[bytes]) -> Any:
    """Merges what `partial_statistics` returned for several files.

    Returns:
        A DatasetFeatureStatisticsList with one data set.
    """
    from tensorflow_data_validation.statistics import stats_impl

    generators = _generators()
    total = [generator.create_accumulator() for generator in generators]
    for partial in partials:
        total = [
            generator.merge_accumulators([one, other])
            for generator, one, other in zip(
                generators, total, pickle.loads(zlib.decompress(partial)), strict=True
            )
        ]
    return stats_impl.extract_statistics_output(total, generators)


def _generators() -> list[Any]:
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    return stats_impl.get_generators(tfdv.StatsOptions(), in_memory=True)
