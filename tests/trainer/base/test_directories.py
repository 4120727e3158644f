"""Checks of places that are to be written to."""

import os
from pathlib import Path

import pytest

from trainer.base.directories import check_file, check_new, write_problem
from trainer.base.errors import UserError


@pytest.fixture
def loop(tmp_path: Path) -> str:
    """A link that leads back to itself."""
    link = tmp_path / "loop"
    link.symlink_to(link)
    return str(link)


def test_a_link_that_leads_back_to_itself_is_no_place_for_a_file_or_a_directory(loop: str) -> None:
    said = f"{loop} is a link to {loop}, which leads nowhere"
    for place in (loop, f"{loop}/new"):
        assert write_problem(place) == said
        with pytest.raises(UserError, match=f"--out: {said}; give another directory"):
            check_new(place, "--out")
    with pytest.raises(UserError, match=f"--out: {said}; mend or remove it"):
        check_file(loop, "--out")
    with pytest.raises(UserError, match=f"--out: {said}; give another place"):
        check_file(f"{loop}/page.html", "--out")
    assert os.path.islink(loop)


def test_what_a_shell_would_have_replaced_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for check in (check_new, check_file):
        with pytest.raises(UserError, match=r"--out.* only a shell replaces ~"):
            check("~/models", "--out")
    assert not [*tmp_path.iterdir()]


def test_a_link_to_a_file_that_is_still_to_be_made_is_a_place_for_it(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("page.html")
    check_file(str(link), "--out")
    link.unlink()
    link.symlink_to("nowhere/page.html")
    with pytest.raises(UserError, match=r"is a link to nowhere/page.html, which leads nowhere"):
        check_file(str(link), "--out")
    with pytest.raises(UserError, match=f"--out {tmp_path} is a directory"):
        check_file(str(tmp_path), "--out")
    assert [*tmp_path.iterdir()] == [link]
