"""Records of videos that stood in an earlier record already."""

from collections.abc import Sequence

from trainer.data.records import Reject

DUPLICATE_ID = "duplicate_id"
"""Reason of a valid record whose video stood in an earlier record."""


def copied_file(path: str, videos: int, originals: Sequence[str]) -> str | None:
    """The file that `path` is a copy of: all its videos stand in other files. None where it is no copy.

    Args:
        path: Of the file.
        videos: In it.
        originals: For each of its videos that stood somewhere before, the file where it did.
    """
    return originals[0] if videos and len(originals) == videos and path not in originals else None


def duplicate_rejects(
    path: str, videos: int, offsets: Sequence[int], originals: Sequence[str]
) -> list[Reject]:
    """What is said of the videos of a file that stood somewhere before: one reject each, or one for a copied file.

    Args:
        path: Of the file.
        videos: In it.
        offsets: Of the N records of those that did.
        originals: N files, where each of them stood first.
    """
    if original := copied_file(path, videos, originals):
        detail = (
            f"all {videos} videos of the file stand in other files, the first one in {original}: it is a copy"
        )
        return [Reject(path, int(offsets[0]), DUPLICATE_ID, detail, videos)]
    return [
        Reject(path, int(offset), DUPLICATE_ID, f"the video stands in {original} before")
        for offset, original in zip(offsets, originals, strict=True)
    ]
