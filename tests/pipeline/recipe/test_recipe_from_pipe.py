"""A recipe, or another small file, that is a pipe."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.recipe.loader import load_recipe, read_text
from pipeline.recipe.own_copy import own_copy
from serving.export.vocabulary import Vocabulary
from serving.server.models.model_config import read_model_configs
from trainer.base.errors import UserError


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [load_recipe, Vocabulary.load, read_model_configs])
def test_a_named_pipe_that_nobody_writes_to_is_an_empty_file(
    read: Callable[[str], object], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=str(pipe)):
        read(str(pipe))


def test_what_a_command_writes_is_waited_for_and_read_once() -> None:
    """As in `yt8m recipes new mine --from <(COMMAND)`."""
    reader, writer = os.pipe()

    def write() -> None:
        time.sleep(0.3)
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            file.write(read_text("yhls"))

    command = threading.Thread(target=write)
    command.start()
    try:
        assert own_copy("mine", f"/dev/fd/{reader}") == own_copy("mine", "yhls")
    finally:
        command.join()
        os.close(reader)
