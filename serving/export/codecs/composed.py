"""Codecs that store a tensor as something smaller, whose numbers another codec stores."""

import re
from dataclasses import dataclass
from typing import Self

from serving.export.codecs.codec import VALUES, Codec, PartSpec
from trainer.base.errors import UserError


@dataclass(frozen=True)
class Composed(Codec):
    """A codec whose name goes on with that of the codec of its numbers: lowrank-r256-int8.

    Attributes:
        inner: The codec of its numbers.
    """

    inner: Codec

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """See `SizedName`."""
        from serving.export.codecs import CODECS

        match = re.fullmatch(f"({cls._pattern()})-(.+)", name)
        if not match:
            return None
        sizes = {key: int(value) for key, value in match.groupdict().items()}
        try:
            inner = CODECS.parse(match.groups()[-1])
        except UserError:
            return None
        return cls(inner=inner, **sizes)

    @property
    def name(self) -> str:
        """See `SizedName`."""
        return f"{super().name}-{self.inner.name}"


def inner_parts(name: str, layout: dict[str, PartSpec]) -> dict[str, PartSpec]:
    """Returns the parts of an inner tensor by the names that they have in the whole."""
    return {inner_name(name, part): spec for part, spec in layout.items()}


def inner_name(name: str, part: str) -> str:
    """Returns the name of a part of an inner tensor.

    >>> inner_name("left", "values"), inner_name("left", "scales")
    ('left', 'left/scales')
    """
    return name if part == VALUES else f"{name}/{part}"
