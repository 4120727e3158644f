"""The artifacts and executions of all rehearsals under one root, which the backend keeps in ML Metadata."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.base.errors import UserError

FILE = "_metadata.sqlite"
"""Below a rehearsal's root; no pipeline is called so."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS artifact (id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS execution (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline TEXT NOT NULL, fingerprint TEXT NOT NULL, outputs TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_fingerprint ON execution (fingerprint, pipeline);
"""


class MetadataStore:
    """Numbers artifacts, and finds the outputs of executions that were cached.

    An artifact is a RuntimeArtifact in protobuf's JSON form. Several rehearsals may use a store at the same time.

    Args:
        root: Directory of the rehearsals; it must exist.

    Raises:
        UserError: If its file is no such store.
    """

    def __init__(self, root: str) -> None:
        self._path = os.path.join(root, FILE)
        try:
            with self._connected() as connection:
                connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{self._path}: {error}; delete it, and the next rehearsal finds nothing in its cache"
            ) from error

    def put_artifact(self, artifact: Mapping[str, Any]) -> int:
        """Takes in an artifact; its id, which no other one has."""
        with self._connected() as connection:
            made = connection.execute("INSERT INTO artifact (content) VALUES (?)", (json.dumps(artifact),))
            return made.lastrowid or 0

    def put_execution(self, pipeline: str, fingerprint: str, outputs: Mapping[str, int]) -> None:
        """Remembers an execution that succeeded, by the ids of its output artifacts."""
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO execution (pipeline, fingerprint, outputs) VALUES (?, ?, ?)",
                (pipeline, fingerprint, json.dumps(outputs)),
            )

    def cached_outputs(self, pipeline: str, fingerprint: str) -> dict[str, tuple[int, dict[str, Any]]] | None:
        """The newest execution of a fingerprint: by output key the artifact's id and itself; None for none."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT outputs FROM execution WHERE pipeline = ? AND fingerprint = ? ORDER BY id DESC LIMIT 1",
                (pipeline, fingerprint),
            ).fetchone()
            return found and {
                key: (number, json.loads(_content(connection, number)))
                for key, number in json.loads(found[0]).items()
            }

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own, whose changes are all there in the end, or none."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as connection, connection:
            yield connection


def _content(connection: sqlite3.Connection, number: int) -> str:
    return connection.execute("SELECT content FROM artifact WHERE id = ?", (number,)).fetchone()[0]
