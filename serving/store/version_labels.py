"""The file that holds a model's version labels."""

import json
from collections.abc import Mapping

from trainer.base.errors import UserError


def encode_labels(labels: Mapping[str, int]) -> bytes:
    """The content of labels.json."""
    return (json.dumps(labels, indent=2, sort_keys=True) + "\n").encode()


def decode_labels(content: bytes | None, where: str) -> dict[str, int]:
    """Version by label; none without a file. UserError if it is anything else."""
    try:
        labels = json.loads(content) if content is not None else {}
        if isinstance(labels, dict) and all(type(version) is int for version in labels.values()):
            return labels
    except ValueError:
        pass
    raise UserError(
        f'{where} is not what yt8m models label writes, such as {{"stable": 3}}: correct or delete it'
    )
