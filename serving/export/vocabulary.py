"""The names of the classes, read from YouTube-8M's vocabulary."""

import csv
import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import TextIO

from trainer.base.addresses import check_address
from trainer.base.errors import UserError
from trainer.base.files import at_once, is_local

_INDEX, _NAME = "Index", "Name"
_VERTICALS = ("Vertical1", "Vertical2", "Vertical3")


class Vocabulary:
    """The names and subjects of the classes.

    Args:
        names: Name by the number of the class, for classes that have a name.
        verticals: One to three subjects, such as "Games", by the number of the class, for classes that have any.
    """

    def __init__(
        self, names: Mapping[int, str], verticals: Mapping[int, tuple[str, ...]] | None = None
    ) -> None:
        self.names = MappingProxyType(dict(names))
        self.verticals = MappingProxyType(dict(verticals or {}))

    def name(self, index: int) -> str:
        """Returns the name to show for a class: `class 1234` for a class without a name."""
        return self.names.get(index) or f"class {index}"

    @classmethod
    def load(cls, path: str) -> "Vocabulary":
        """Reads YouTube-8M's vocabulary.

        Args:
            path: CSV file, local or in a bucket, with the columns Index and Name, and where known Vertical1 to 3.

        Raises:
            UserError: There is no such file, a column is missing, or an index is not a number or comes twice.
        """
        try:
            with _open(path) as file:
                reader = csv.DictReader(file)
                for column in (_INDEX, _NAME):
                    if column not in (reader.fieldnames or ()):
                        there = ", ".join(reader.fieldnames or ["none at all"])
                        raise UserError(
                            f"{path} has no column {column} ({there}): give YT-8M's vocabulary.csv"
                        )
                names: dict[int, str] = {}
                verticals: dict[int, tuple[str, ...]] = {}
                for row in reader:
                    index = row[_INDEX] or ""
                    if not index.strip().isdecimal():
                        raise UserError(
                            f"{path}, line {reader.line_num}: the index {index!r} is not a number"
                        )
                    if int(index) in names:
                        raise UserError(
                            f"{path}, line {reader.line_num}: class {int(index)} was there before"
                        )
                    names[int(index)] = (row[_NAME] or "").strip()
                    found = ((row.get(column) or "").strip() for column in _VERTICALS)
                    verticals[int(index)] = tuple(dict.fromkeys(name for name in found if name))
        except OSError as error:
            raise UserError(f"cannot read the vocabulary {path}: {error.strerror or error}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(
                f"{path} is not a CSV file in UTF-8 ({error}): give YT-8M's vocabulary.csv"
            ) from None
        return cls(
            {index: name for index, name in names.items() if name},
            {index: found for index, found in verticals.items() if found},
        )


def _open(path: str) -> TextIO:
    if is_local(path):
        return open(path, encoding="utf-8-sig", newline="", opener=at_once)
    check_address(path, "vocabulary", any_scheme=True)
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return io.StringIO(file.read().decode("utf-8-sig"), newline="")
    except tf.errors.OpError as error:
        raise OSError(error.message) from None
