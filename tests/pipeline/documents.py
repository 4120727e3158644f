"""The commands of README and docs, as a reader meets them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """The commands of one block, and what the document says that they print.

    Attributes:
        document: Name of the document.
        line: Number of the block's first line.
        commands: The commands, one a line, without comments.
        output: The text of the block behind it, with `...` for what differs; empty where none is stated.
    """

    document: str
    line: int
    commands: tuple[str, ...]
    output: str


def blocks(path: Path) -> Iterator[Block]:
    """Yields the blocks of commands of a document, in their order."""
    text = path.read_text(encoding="utf-8")
    pattern = r"^```sh\n(.*?)^```\n(?:\n?```text\n(.*?)^```\n)?"
    for found in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        commands = tuple(_commands(found[1]))
        yield Block(path.name, text.count("\n", 0, found.start()) + 2, commands, found[2] or "")


def verbs_of(command: str) -> Iterator[list[str]]:
    """Yields the arguments of each `yt8m` in a line of shell."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("();|&<>"):
            words.append(word)
            continue
        if words[:1] == ["yt8m"]:
            yield words[1:]
        words = []


def _commands(text: str) -> Iterator[str]:
    """Yields the commands of a block: a line each, or more where a quotation goes on."""
    begun = ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        begun = f"{begun}\n{_without_comment(line)}".strip()
        try:
            shlex.split(begun)
        except ValueError:
            continue
        if begun:
            yield begun
        begun = ""


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#\s.*$", "", line).rstrip()
