"""Every command of the documents is one that the command line has, and every file that they name is there."""

import itertools
import re

import pytest
import typer

from pipeline.cli.main import app
from pipeline.recipe.loader import recipe_names
from tests.pipeline.documents import DOCUMENTS, ROOT, Block, blocks, verbs_of

BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]
VERBS = [
    pytest.param(arguments, id=f"{block.document}:{block.line} {' '.join(arguments)[:40]}")
    for block in BLOCKS
    for command in block.commands
    for arguments in verbs_of(command)
]


@pytest.mark.parametrize("arguments", VERBS)
def test_a_command_has_the_verb_and_the_options_that_a_document_gives_it(arguments: list[str]) -> None:
    command, rest = typer.main.get_command(app), arguments
    if "..." in arguments:  # stands for the options of the command before
        return
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        command, rest = command.get_command(typer.Context(command), rest[0]), rest[1:]
        assert command is not None, arguments
    command.make_context("yt8m", [*rest])
    for option, value in itertools.pairwise(arguments):
        if option in ("--recipe", "--from") and not value.endswith(".yaml"):
            assert value in recipe_names()


def test_there_are_commands_in_all_documents_that_show_some() -> None:
    assert {"README.md", "getting-started.md", "operating.md", "kubeflow.md", "serving.md"} <= {
        block.document for block in BLOCKS
    }
    assert len(VERBS) > 50


@pytest.mark.parametrize("block", [block for block in BLOCKS if "make " in "\n".join(block.commands)])
def test_a_target_of_make_is_one_of_the_makefile(block: Block) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in block.commands:
        if command.startswith("make "):
            assert command.split()[1] in targets


def test_recipes_are_spelled_as_they_are_called() -> None:
    for path in DOCUMENTS:
        if path.name != "CHANGELOG.md":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\b(--recipe|models/|runs/)\s?(video_level|mean_frame)", text), path
