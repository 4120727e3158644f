"""The file of a model's version labels, names such as `stable` that point to versions."""

import json
import re
from collections.abc import Mapping

from trainer.base.errors import UserError

_NAME = re.compile("[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def check_label(name: str) -> None:
    """Raises UserError if a text cannot be the name of a label, which also stands in settings of Kubernetes."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"a label has at most 63 letters, digits, hyphens, underscores and dots, with a letter or digit at both "
            f"ends, such as stable. Received: {name!r:.100}"
        )
    if name.isdecimal():
        # Versions are asked for by number or label in one place, such as /v2/models/NAME/versions/3.
        raise UserError(
            f"label {name} would be taken for version {name}: give it a letter, such as v{name:.61}"
        )


def encode_labels(labels: Mapping[str, int]) -> bytes:
    """Makes the content of labels.json from the version by its label."""
    return (json.dumps(labels, indent=2, sort_keys=True) + "\n").encode()


def decode_labels(content: bytes | None, where: str) -> dict[str, int]:
    """Reads the content of labels.json.

    Args:
        content: The content; None where there is no file.
        where: Address of the file, for the message.

    Returns:
        The version by its label.

    Raises:
        UserError: The content is not that of a labels.json.
    """
    try:
        labels = json.loads(content) if content is not None else {}
        if isinstance(labels, dict) and all(type(version) is int for version in labels.values()):
            return labels
    except ValueError:
        pass
    raise UserError(
        f'{where} is not what yt8m models label writes, such as {{"stable": 3}}: correct or delete it'
    )
