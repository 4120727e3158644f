"""The slices in which a model is measured, beside all videos: by number of labels and by length.

A video's slice is a string, which is what TFMA groups by; the order of the bins is the order of a report.
"""

from trainer.data.yt8m import MAX_FRAMES

LABELS = "num_labels"
"""Feature that holds the bin of a video's number of labels."""

SPAN = "span"
"""Feature that holds the span of a video's file, where a run reads several; it has no fixed bins."""

FRAMES = "num_frames"
"""Feature that holds the bin of a video's number of frames, which is its length in seconds."""

_LABEL_BINS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, None))
_FRAME_BINS = tuple((start, min(start + 59, MAX_FRAMES)) for start in range(1, MAX_FRAMES, 60))


def labels_bin(count: int) -> str:
    """Returns the bin of a number of labels.

    >>> [labels_bin(count) for count in (0, 3, 5, 17)]
    ['0', '3', '4-5', '6+']
    """
    return _bin(count, _LABEL_BINS)


def frames_bin(count: int) -> str:
    """Returns the bin of a number of frames, 1 to 300.

    >>> [frames_bin(count) for count in (1, 60, 61, 300)]
    ['1-60', '1-60', '61-120', '241-300']
    """
    return _bin(count, _FRAME_BINS)


def _bin(count: int, bins: tuple[tuple[int, int | None], ...]) -> str:
    for first, last in bins:
        if count >= first and (last is None or count <= last):
            return f"{first}+" if last is None else str(first) if first == last else f"{first}-{last}"
    raise ValueError(f"no bin for this count. Received: {count}")


BINS: dict[str, tuple[str, ...]] = {
    LABELS: tuple(labels_bin(first) for first, _ in _LABEL_BINS),
    FRAMES: tuple(frames_bin(first) for first, _ in _FRAME_BINS),
}
"""Feature: its bins, in order."""
