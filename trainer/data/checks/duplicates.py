"""Records whose video stands in an earlier record as well."""

from collections.abc import Sequence

from trainer.data.records import Reject

DUPLICATE_ID = "duplicate_id"
"""Reason for leaving out a valid record: its video stands in an earlier record."""


def copied_file(path: str, videos: int, originals: Sequence[str]) -> str | None:
    """Finds the file that a file is a copy of. A file is a copy when all its videos stand in other files.

    Args:
        path: Path of the file.
        videos: Number of its videos.
        originals: For each of its videos that stands in an earlier record, the path of that record's file.

    Returns:
        Path of the other file; None where the file is no copy.
    """
    return originals[0] if videos and len(originals) == videos and path not in originals else None


def duplicate_rejects(
    path: str, videos: int, offsets: Sequence[int], originals: Sequence[str]
) -> list[Reject]:
    """Makes the rejects of a file's videos that stand in earlier records: one each, or a single one for a copied file.

    Args:
        path: Path of the file.
        videos: Number of its videos.
        offsets: Places of the N records whose videos stand in earlier records, in bytes of the uncompressed file.
        originals: For each of these N the path of the file where the video stands first.
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
