"""The metadata store of the runs in a directory, opened for reading."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainer.base.errors import UserError

if TYPE_CHECKING:
    from ml_metadata.metadata_store import MetadataStore

DATABASE = "metadata.sqlite"
_MAGIC = b"SQLite format 3\0"


def check_database(base: Path) -> None:
    """Raises UserError if a file stands where the metadata store of a directory belongs, and is none."""
    path = base / DATABASE
    if not path.exists():
        return
    with open(path, "rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:  # a store that is only just made is empty
        raise UserError(f"{path} is damaged, or no database of runs: put its copy back, or move it away")


def open_for_reading(path: Path) -> "MetadataStore":
    """Opens a metadata store, which a run may be writing to; raises UserError if the file is damaged or none."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    try:
        return metadata_store.MetadataStore(connection)
    except RuntimeError as error:
        if "locked" in str(error):
            raise
        # ML Metadata makes the tables that it misses, which it must not do here.
        raise UserError(
            f"{path} is damaged, or no database of runs: put its copy back, or move it away (where a run has only just "
            "begun, wait a moment)"
        ) from error
