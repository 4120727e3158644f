"""Names that state sizes, such as K24-H1440, NeXtVLAD-G8-K128-H2048 or int4-b64, and what has such a name.

The grammar is the same for all: a prefix, then letters and a whole number for each size, with hyphens between them.
"""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from trainer.base.errors import UserError


def size(letters: str, *, minimum: int = 1, maximum: int | None = None, default: int | None = None) -> Any:
    """Makes a field of a `SizedName`.

    Args:
        letters: Letters that stand before the number in the name.
        minimum: Smallest value of the size.
        maximum: Largest value of the size; None where there is none.
        default: Value of the size where a name leaves it out; None where every name must have it.
    """
    metadata = {"letters": letters, "minimum": minimum, "maximum": maximum}
    if default is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class SizedName:
    """A frozen dataclass with a name; its fields, each made by `size`, are the sizes in the name, in their order.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Block(SizedName):
    ...     PREFIX: ClassVar[str] = "Block"
    ...     EXAMPLE: ClassVar[str] = "Block-W64"
    ...     width: int = size("W")
    ...     layers: int = size("L", default=2)
    >>> Block.parse("Block-W64-L3"), Block.parse("Block-W8").name
    (Block(width=64, layers=3), 'Block-W8')

    Raises:
        UserError: If a size is below its minimum or above its maximum.
    """

    PREFIX: ClassVar[str]
    """Begins the name; where it is the letters of the first size, it stands there once (K24-H1440)."""
    EXAMPLE: ClassVar[str]
    """A name, for messages and help."""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    """What else the kind is called elsewhere; whoever begins a name so is told the right one."""

    def __post_init__(self) -> None:
        for one in self._sizes():
            value = getattr(self, one.name)
            minimum, maximum = one.metadata["minimum"], one.metadata["maximum"]
            if value < minimum:
                raise UserError(f"{one.name} must be at least {minimum}. Received: {one.name}={value}")
            if maximum is not None and value > maximum:
                raise UserError(f"{one.name} must be at most {maximum}. Received: {one.name}={value}")

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Returns the object of this name; None where the name is that of another kind."""
        match = re.fullmatch(cls._pattern(), name)
        if not match:
            return None
        return cls(**{key: int(value) for key, value in match.groupdict().items() if value is not None})

    @property
    def name(self) -> str:
        """The name, of letters, digits and hyphens. A size that has its default is left out."""
        given = [(one, getattr(self, one.name)) for one in self._sizes()]
        parts = [f"{one.metadata['letters']}{value}" for one, value in given if value != one.default]
        return "-".join([*self._heading(), *parts])

    def __str__(self) -> str:
        return self.name

    @classmethod
    def nearest(cls, name: str) -> str:
        """Returns the valid name of this kind that is most like a wrong one; sizes that it lacks are the example's.

        Where its sizes do not fit each other, all are the example's.
        """
        example = cls.parse(cls.EXAMPLE)
        values = {letters.lower(): int(number) for letters, number in re.findall(r"([A-Za-z]+)(\d+)", name)}
        found = {
            one.name: values[one.metadata["letters"].lower()]
            for one in cls._sizes()
            if _within(values.get(one.metadata["letters"].lower()), one.metadata)
        }
        try:
            return dataclasses.replace(example, **found).name
        except UserError:  # sizes that do not fit each other
            return example.name

    @classmethod
    def grammar(cls) -> str:
        """Returns how names of this kind are made: each size as its field, those that may be left out in brackets.

        >>> @dataclasses.dataclass(frozen=True)
        ... class Block(SizedName):
        ...     PREFIX: ClassVar[str] = "Block"
        ...     width: int = size("W")
        ...     layers: int = size("L", default=2)
        >>> Block.grammar()
        'Block-W<width>[-L<layers>]'
        """
        grammar = "".join(cls._heading())
        for one in cls._sizes():
            part = f"{'-' if grammar else ''}{one.metadata['letters']}<{one.name}>"
            grammar += part if one.default is dataclasses.MISSING else f"[{part}]"
        return grammar

    @classmethod
    def defaults(cls) -> dict[str, int]:
        """Returns the values of the sizes that a name may leave out, by their fields."""
        return {one.name: one.default for one in cls._sizes() if one.default is not dataclasses.MISSING}

    @classmethod
    def _sizes(cls) -> list[dataclasses.Field]:
        return [one for one in dataclasses.fields(cls) if "letters" in one.metadata]

    @classmethod
    def _heading(cls) -> list[str]:
        sizes = cls._sizes()
        return [] if sizes and sizes[0].metadata["letters"] == cls.PREFIX else [cls.PREFIX]

    @classmethod
    def _pattern(cls) -> str:
        pattern = "".join(map(re.escape, cls._heading()))
        for one in cls._sizes():
            part = f"{'-' if pattern else ''}{one.metadata['letters']}(?P<{one.name}>\\d+)"
            pattern += part if one.default is dataclasses.MISSING else f"(?:{part})?"
        return pattern


def _within(value: int | None, metadata: Mapping[str, Any]) -> bool:
    if value is None or value < metadata["minimum"]:
        return False
    return metadata["maximum"] is None or value <= metadata["maximum"]


Kind = TypeVar("Kind", bound=SizedName)


class Registry(Generic[Kind]):
    """The known kinds of something, such as architectures, by the prefixes of their names.

    Args:
        what: The thing with its article, for messages: "an architecture".
        kinds: The kinds that are known from the start.
    """

    def __init__(self, what: str, *kinds: type[Kind]) -> None:
        self._what = what
        self._kinds: dict[str, type[Kind]] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: type[Kind]) -> type[Kind]:
        """Makes a kind known; a decorator. A kind of the same prefix is replaced."""
        self._kinds[kind.PREFIX] = kind
        return kind

    @property
    def kinds(self) -> tuple[type[Kind], ...]:
        """All known kinds."""
        return tuple(self._kinds.values())

    def parse(self, name: str) -> Kind:
        """Returns the object of this name.

        Raises:
            UserError: Nothing has this name, or a size in it is out of range. The message has the nearest valid name,
                or the size.
        """
        name = name.strip()
        for kind in self.kinds:
            try:
                found = kind.parse(name)
            except UserError as error:
                raise UserError(f"{name}: {error}") from None
            if found is not None:
                return found
        if len(names := re.split(r"[\s;]+", name)) > 1:
            raise UserError(f"several names are separated by commas, {','.join(names)}. Received: {name!r}")
        raise UserError(f"{self._what} is written like {self._nearest(name)}. Received: {name!r}")

    def _nearest(self, name: str) -> str:
        def likeness(kind: type[Kind]) -> tuple[bool, float]:
            # Whoever writes int4 means int4-b128, though int8 has more letters in common with it.
            return name.lower().startswith(tuple(map(str.lower, (kind.PREFIX, *kind.ALIASES)))), max(
                difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()
                for other in (kind.nearest(name), kind.EXAMPLE)
            )

        return max(self.kinds, key=likeness).nearest(name)
