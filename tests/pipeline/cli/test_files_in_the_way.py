"""Every verb that writes a file replaces what it wrote itself, and refuses to replace any other file."""

from pathlib import Path

import pytest

from tests.pipeline.verbs import run
from trainer.base.directories import check_replaced
from trainer.base.errors import UserError

_COMPILED = ("compile", "--image", "r/yt8m:1", "--pipeline-root", "gs://bucket/root")
_INFER = ("infer", "--model", "model", "--data", "OTHER.csv")


@pytest.mark.parametrize(
    "arguments",
    [
        (*_COMPILED, "--recipe", "OTHER.yaml", "--out", "OTHER.yaml"),
        ("report", "runs", "--out", "OTHER.sqlite"),
        ("report", "runs", "--out", "OTHER.html"),  # beside it stands OTHER.json
        (*_INFER, "--out", "OTHER.csv"),
        (*_INFER, "--out", "OTHER.parquet"),
        (*_INFER, "--out", "OTHER.csv", "--beam", "workers=1"),
        ("export", "model", "--litert", "--unchecked", "--out", "OTHER.pb"),
        ("export", "model", "--onnx", "--unchecked", "--out", "OTHER.pb"),
    ],
)
def test_a_file_of_another_kind_stays(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    others = [Path(f"OTHER.{ending}") for ending in ("yaml", "sqlite", "json", "csv", "parquet", "pb")]
    for path in others:
        path.write_text("name: of somebody else\n")
    with pytest.raises(
        UserError, match=r"--out OTHER\S* is there and is no .*: name another file, or move that one away"
    ):
        run(*arguments)
    assert [path.read_text() for path in others] == ["name: of somebody else\n"] * len(others)


def test_a_file_of_the_same_kind_and_an_empty_one_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for content in (None, b"", b"<page>, all of it"):
        if content is not None:
            path.write_bytes(content)
        check_replaced(str(path), "--out", b"<page>", "page")
