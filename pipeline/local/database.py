"""The metadata store of the runs in a directory, opened for reading."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.base.errors import UserError

if TYPE_CHECKING:
    from ml_metadata.metadata_store import MetadataStore

DATABASE = "metadata.sqlite"


def check_database(base: Path) -> None:
    """Raises UserError if the file where the metadata store of a directory belongs is none, was cut, or is damaged."""
    path = base / DATABASE
    if not path.exists():
        return
    path.open("rb").close()  # names a directory, and a file that this user may not read
    try:
        # A store that is only just made is empty, which is no damage.
        with closing(sqlite3.connect(path)) as connection:
            whole = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError:  # a run is writing to it
        return
    except sqlite3.DatabaseError:
        whole = False
    if not whole:
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
