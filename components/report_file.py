"""The JSON documents that steps of a pipeline leave for later steps and for `yt8m report`."""

import json
import posixpath
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from trainer.base.errors import UserError
from trainer.base.files import exists, make_dirs, open_file

_Kind = TypeVar("_Kind")


class ReportPart(BaseModel):
    """An object inside a report. Keys that a later version of yt8m added are passed over when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def document(self) -> dict[str, Any]:
        """Returns the object as plain JSON values, with the keys that it was made of and no others."""
        return self.model_dump(by_alias=True, exclude_unset=True)


AS_AN_ARTIFACT = "remove its directory and start the run again"
"""What helps where a document of an artifact is damaged: its step is done again."""


class StepReport(ReportPart):
    """One JSON document in the directory of an artifact.

    A subclass names the fields. A key that earlier versions of yt8m did not write has a default, so that their
    documents stay readable.

    >>> class Sizes(StepReport):
    ...     bytes: int
    >>> Sizes.model_validate({"bytes": 7, "a_key_of_the_future": 1}).document()
    {'bytes': 7}
    """

    FILE: ClassVar[str] = "report.json"
    """Name of the document's file."""
    REMEDY: ClassVar[str] = AS_AN_ARTIFACT
    """What helps where the document is damaged, for messages."""
    ALLOWS_NAN: ClassVar[bool] = False
    """Whether a number may be NaN, which strict readers of JSON refuse. Elsewhere it is an error to write one."""

    def write(self, directory: str) -> None:
        """Writes the document.

        Args:
            directory: The artifact's directory, local or in a bucket. It is made where it is missing.

        Raises:
            ValueError: If a number is NaN or infinite where that is not allowed.
        """
        text = json.dumps(self.document(), indent=2, allow_nan=self.ALLOWS_NAN) + "\n"
        make_dirs(directory)
        with open_file(posixpath.join(directory, self.FILE), "wb") as file:
            file.write(text.encode())

    @classmethod
    def read(cls, directory: str) -> Self:
        """Reads the document.

        Args:
            directory: The artifact's directory, local or in a bucket.

        Raises:
            UserError: If there is no such document, or it is not one of this class.
        """
        return read_document(posixpath.join(directory, cls.FILE), cls, cls.REMEDY)


def read_document(path: str, kind: type[_Kind], remedy: str = AS_AN_ARTIFACT) -> _Kind:
    """Reads one document.

    Args:
        path: Path of its file, local or in a bucket.
        kind: Its class, or several joined by |, of which it is one.
        remedy: What a user can do where it cannot be read, for the message.

    Raises:
        UserError: If there is no such file, or it is not of that kind.
    """
    if not exists(path):
        raise UserError(f"{path}: there is no such file: {remedy}")
    try:
        with open_file(path, "rb") as file:
            return TypeAdapter(kind).validate_json(file.read())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}: {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UserError(f"{path} cannot be read: {where}: {first['msg']}: {remedy}") from error
