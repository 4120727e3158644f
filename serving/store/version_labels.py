"""The file of a model's version labels, names such as `stable` that point to versions."""

import json
from collections.abc import Mapping

from trainer.base.errors import UserError


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
