"""Every verb that writes refuses a link that leads back to itself, before it starts."""

from pathlib import Path

import pytest

from tests.pipeline.verbs import run
from trainer.base.errors import UserError

_COMPILED = ("compile", "--recipe", "demo", "--image", "r/yt8m:1", "--pipeline-root", "gs://bucket/root")


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "sample", "LOOP"),
        ("compress", "model", "--to", "int8", "--out", "LOOP"),
        ("compress", "model", "--to", "int8", "--out", "LOOP/small"),
        ("import-checkpoint", "model.ckpt", "--variant", "K2-H4", "--out", "LOOP"),
        ("export", "model", "--litert", "--unchecked", "--out", "LOOP"),
        ("infer", "--model", "model", "--data", "x", "--out", "LOOP.csv"),
        (*_COMPILED, "--out", "LOOP.yaml"),
    ],
)
def test_a_looped_link_as_output(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LOOP", "LOOP.csv", "LOOP.yaml"):
        Path(name).symlink_to(name)
    with pytest.raises(UserError, match=r"LOOP\S* is a link to LOOP\S*, which leads nowhere"):
        run(*arguments)
