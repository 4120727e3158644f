"""The files of a SavedModel, whatever is in them."""

from pathlib import Path

DATA = "variables/variables.data-00000-of-00001"


def write_model(directory: Path, content: bytes = b"weights", files: int = 0) -> str:
    """The files of a SavedModel, whatever is in them."""
    (directory / "variables").mkdir(parents=True)
    (directory / "assets.extra").mkdir()
    (directory / "saved_model.pb").write_bytes(b"graph of " + content)
    (directory / "variables" / "variables.index").write_bytes(b"index")
    (directory / "variables" / "variables.data-00000-of-00001").write_bytes(content)
    for number in range(files):
        (directory / "assets.extra" / f"{number}.bin").write_bytes(content + str(number).encode() * 1000)
    return str(directory)
