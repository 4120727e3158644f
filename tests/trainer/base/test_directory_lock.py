"""One process at a time writes what a directory's lock stands for, and a dead one holds no lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.base.directory_lock import lock_directory, only_writer
from trainer.base.errors import UserError
from trainer.data.sample import write_sample


def test_a_lock_is_refused_while_another_holds_it_and_free_after_that(tmp_path: Path) -> None:
    with only_writer(str(tmp_path), "out.csv"):
        assert lock_directory(str(tmp_path)) is None
        with (
            pytest.raises(UserError, match=r"another process is writing out\.csv: wait"),
            only_writer(str(tmp_path), "out.csv"),
        ):
            pass
        with pytest.raises(UserError, match=f"another process is writing {tmp_path}"):
            write_sample(str(tmp_path), train_videos=4, validate_videos=4, shards=1)
    os.close(lock_directory(str(tmp_path)))
    assert lock_directory(str(tmp_path / "none")) is None


def test_a_process_that_ends_without_a_word_holds_no_lock(tmp_path: Path) -> None:
    script = (
        "import os, sys; from trainer.base.directory_lock import lock_directory\n"
        "assert lock_directory(sys.argv[1]) is not None\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == -9
    with only_writer(str(tmp_path), "out.csv"):
        pass
