"""What a bad disk does to files, at places that hypothesis chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st


@dataclass(frozen=True)
class Damage:
    """One change to one of several files.

    Attributes:
        file: Which of them, as a share of their number.
        place: Byte at which it happens, as a share of the file's size.
        bit: That is flipped there; None cuts the file off at the place.
    """

    file: float
    place: float
    bit: int | None

    @contextmanager
    def done_to(self, files: list[Path]) -> Iterator[Path]:
        """Damages a file while the block runs; yields it."""
        path = files[int(self.file * len(files))]
        content = path.read_bytes()
        place = int(self.place * len(content))
        damaged = bytearray(content)
        if self.bit is None:
            del damaged[place:]
        else:
            damaged[place] ^= 1 << self.bit
        path.write_bytes(damaged)
        try:
            yield path
        finally:
            path.write_bytes(content)


_SHARE = st.floats(0, 1, exclude_max=True)
damages = st.builds(Damage, file=_SHARE, place=_SHARE, bit=st.none() | st.integers(0, 7))
