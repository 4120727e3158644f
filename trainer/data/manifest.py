"""Files by reference: a manifest names the data files of a split, and what to leave out of each.

A manifest is JSON lines: the checksum of the others, then one `DataFile` a line. `MANIFEST#17` is the address of the
18th file.
`trainer.data.tfrecord.read_records` takes such an address wherever it takes a path, so that every reader does.
"""

import json
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import google_crc32c

from trainer.base.errors import UserError
from trainer.base.files import file_size, file_state, open_file

MANIFEST = "manifest.jsonl"
"""Name of the manifest in the directory of a split."""
_CHECKSUM = "checksum"
"""In the first line: CRC-32C of the bytes behind it."""


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A data file, as it was when it was checked, and the records of it that are used."""

    file: str
    """Path of the file, local or in a bucket."""
    bytes: int
    """Size of the file."""
    modified: int
    """Time of its last change in nanoseconds since 1970; 0 for a file that is never changed."""
    crc32c: str
    """CRC-32C of its bytes, 8 hexadecimal digits."""
    videos: int
    """Number of the videos that are used."""
    skipped: tuple[int, ...] = ()
    """Places that are passed over, in bytes of the uncompressed file: damaged and invalid records, videos without
    labels, and videos that stand in an earlier record."""
    span: int = 0
    """The span that the file is of; 0 where there are none."""


def write_manifest(directory: str, files: Sequence[DataFile]) -> None:
    """Writes the manifest of a split into its directory, which must be there."""
    content = "".join(json.dumps(asdict(one)) + "\n" for one in files).encode()
    head = json.dumps({_CHECKSUM: google_crc32c.value(content)}) + "\n"
    with open_file(posixpath.join(directory, MANIFEST), "wb") as file:
        file.write(head.encode() + content)


def example_files(paths: Iterable[str]) -> list[str]:
    """Replaces every manifest among the paths by the addresses of the files that it names; other paths stay."""
    files: list[str] = []
    for path in paths:
        if posixpath.basename(path) == MANIFEST:
            files += [f"{path}#{number:05d}" for number in range(len(_read(path)))]
        else:
            files.append(path)
    return files


def referenced(address: str) -> DataFile | None:
    """Returns the file that an address in a manifest stands for; None where it is a plain path."""
    path, mark, number = address.rpartition("#")
    if not mark or posixpath.basename(path) != MANIFEST:
        return None
    return _read(path)[int(number)]


def file_identity(address: str) -> tuple[str, int] | tuple[str, int, str]:
    """Returns what tells a data file from others: its name without directories, its bytes and, where known, its CRC."""
    if file := referenced(address):
        return posixpath.basename(file.file), file.bytes, file.crc32c
    return posixpath.basename(address), file_size(address)


def spans_of(addresses: Iterable[str]) -> set[int]:
    """Returns the spans of files; a plain path is of span 0."""
    return {file.span if (file := referenced(address)) else 0 for address in addresses}


def unchanged_file(file: DataFile) -> str:
    """Returns the path of a file of a manifest.

    Raises:
        UserError: The file is gone, or is not the one that was checked.
    """
    state = file_state(file.file)
    if state.size != file.bytes or (file.modified and state.modified != file.modified):
        raise UserError(
            f"{file.file} has changed since it was checked; start the run again, which checks it anew, and keep the "
            "files of a run as they are until it is done (data.copy: true copies them)"
        )
    return file.file


@lru_cache(maxsize=16)
def _read(path: str) -> tuple[DataFile, ...]:
    with open_file(path, "rb") as file:
        content = file.read()
    try:
        head, _, rest = content.partition(b"\n")
        # Manifests of earlier releases begin with the first file.
        if content and (checksum := json.loads(head).get(_CHECKSUM)) is not None:
            if checksum != google_crc32c.value(rest):
                raise ValueError("it is not as it was written")
            content = rest
        lines = [json.loads(line) for line in content.splitlines()]
        return tuple(DataFile(**line | {"skipped": tuple(line["skipped"])}) for line in lines)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        made = posixpath.dirname(posixpath.dirname(path))
        raise UserError(
            f"{path} is damaged ({error}): remove {made} and give the same command again, which checks the data anew"
        ) from error
