"""Patterns of local files, and what is said of files that are not there or cannot be opened."""

import os
import re
from pathlib import Path

import pytest

from trainer.base.errors import UserError
from trainer.base.files import expand, open_file


def test_a_file_that_may_not_be_read_is_told_as_such(monkeypatch) -> None:
    def forbidden(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(UserError, match="cannot read x: Permission denied; give this user the right to it"):
        open_file("x", "rb")


def test_expand_sorts_and_names_each_file_once(tmp_path: Path) -> None:
    for name in ("b1", "a1", "b2"):
        (tmp_path / name).touch()
    (tmp_path / "b3").mkdir()
    assert expand([f"{tmp_path}/b*", f"{tmp_path}/b1", f"{tmp_path}/a?"]) == [
        f"{tmp_path}/{name}" for name in ("a1", "b1", "b2")
    ]
    with pytest.raises(UserError, match=r"no file matches .*/c\*"):
        expand([f"{tmp_path}/a*", f"{tmp_path}/c*"])
    for pattern, why in (
        ("b1 ", "a blank stands at its beginning or end"),
        ("b{1,2}", "braces are for {SPAN} and dates in capital letters"),
        ("sub\\b*", "a path has / between its names"),
        ("c*", "check the path"),
    ):
        with pytest.raises(UserError, match=re.escape(f"{pattern}; {why}")):
            expand([f"{tmp_path}/{pattern}"])
    with pytest.raises(
        UserError, match=re.escape(f"file matches c*; check the path, which counts from {os.getcwd()}")
    ):
        expand(["c*"])
    (tmp_path / "models/1").mkdir(parents=True)
    (tmp_path / "models/1/saved_model.pb").touch()
    for directory in ("models", "models/1"):
        with pytest.raises(
            UserError, match=f"{directory} is the directory of a model: give files of videos here"
        ):
            expand([f"{tmp_path}/{directory}"])
    with pytest.raises(
        UserError, match=r"/b3/ is a directory: give a pattern of its files, such as '.*/b3/\*'"
    ):
        expand([f"{tmp_path}/b3/"])
    (tmp_path / "b4").symlink_to("/unmounted/b4")
    with pytest.raises(
        UserError, match="b4 is a link to /unmounted/b4, which is not there; mend or remove it"
    ):
        expand([f"{tmp_path}/b*"])
