"""The commands of the documents, run in their order in one directory, and what the documents say that they print.

A tiny run stands in for the demo's. Commands run in this process, for which TensorFlow and TFX are there already; a
server has a process of its own.
"""

import contextlib
import doctest
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from serving.store import model_store
from tests.pipeline.documents import DOCUMENTS, blocks
from tests.serving.store.model_files import write_model
from trainer.data.yt8m import NUM_CLASSES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

NOT_HERE = {
    "sets up a machine or a cloud": r"(git|make|source|curl|cd|mkdir|gcloud|kubectl|k8s/|export|sed|PO|NU|RE)",
    "asks a cluster, a bucket or another server": r".*(--host|--watch|gs://|HOST:PORT|\$[A-Z]|FILE.tfrecord --target)",
    "needs a compiled file or a checkpoint": r"yt8m (compile|rehearse|doctor|submit|schedule|import-checkpoint) ",
    "trains on data that are not here": r"yt8m (run (?!--recipe mine\.yaml)|distill )",
    "reads data that are not here": r"yt8m data check 'data/yt8m/frame/",
    "compares requests that are not here": r"yt8m monitor ",
    "is the report that getting-started makes": r"yt8m report runs/yhls",
    "is a benchmark, or starts many processes": r".*(tests\.benchmarks|--beam workers)",
}
"""Beginnings of commands that are not run here, by the reason. A command of two documents is run once."""

IN_ORDER = sorted(DOCUMENTS, key=lambda path: (path.name != "getting-started.md", path.name != "README.md"))
_done: set[str] = set()


@pytest.fixture(scope="module")
def place(
    local_run: subprocess.CompletedProcess[str], local_place: Path, tiny_sample: Path, tmp_path_factory
) -> Path:
    """A directory with what the documents speak of."""
    assert local_run.returncode == 0, local_run.stderr
    directory = tmp_path_factory.mktemp("first-hour")
    for name, target in {
        "data/demo": tiny_sample,
        "DIRECTORY": tiny_sample,
        "FILE.tfrecord": tiny_sample / "validate0000.tfrecord",
        "runs/demo": local_place / "runs/tiny",
        "models/yhls": directory / "models/demo",
        "DIR": directory / "models/demo/yt8m",
        "TRAIN": tiny_sample / "train0000.tfrecord",
        "VALIDATE": tiny_sample / "validate0000.tfrecord",
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).symlink_to(target)
    shutil.copytree(local_place / "served/yt8m", directory / "models/demo/yt8m")
    rows = "".join(f"{index},Class {index}\n" for index in range(NUM_CLASSES))
    (directory / "vocabulary.csv").write_text(f"Index,Name\n{rows}", encoding="utf-8")
    for content in range(7):
        source = write_model(directory / f"source-{content}", b"%d" % content)
        model_store.publish(str(source), str(directory / "BASE"))
    return directory


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in IN_ORDER])
def test_the_commands_of_a_document_do_what_it_says(place: Path, path: Path, monkeypatch) -> None:
    monkeypatch.chdir(place)
    with contextlib.ExitStack() as servers:
        ports = {"8500": _free_port(), "8501": _free_port()}
        for block in blocks(path):
            printed = ""
            for command in block.commands:
                if any(re.match(pattern, command) for pattern in NOT_HERE.values()) or command in _done:
                    continue
                for port, free in ports.items():
                    command = command.replace(port, free)
                if command == "kill %1":
                    servers.close()
                elif command.endswith("&"):
                    servers.enter_context(_served(command.removesuffix("&"), ports["8500"]))
                elif "|" in command:
                    printed += _in_a_shell(command)
                else:
                    printed += _here(command, ports["8500"])
            _done.update(command for command in block.commands if not command.endswith("&"))
            options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert not block.output or doctest.OutputChecker().check_output(block.output, printed, options), (
                printed
            )
    if path.name == "getting-started.md":
        assert (place / "comparison.html").is_file()
        assert len((place / "submission.csv").read_text(encoding="utf-8").splitlines()) > 50


def _here(command: str, port: str) -> str:
    verb, *arguments = shlex.split(command)
    assert verb == "yt8m", command
    if arguments[0] == "predict" and not {"--target", "--model", "--litert"} & {*arguments}:
        arguments += ["--target", f"localhost:{port}"]  # where a reader has the default, 8500
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (command, result.output, result.exception)
    return result.stdout


def _in_a_shell(command: str) -> str:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", command], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    # xargs says by 123 that one of the commands was refused, which the document names.
    assert done.returncode in (0, 123), (command, done.stderr)
    return done.stdout


@contextlib.contextmanager
def _served(command: str, port: str) -> Iterator[None]:
    _, *arguments = shlex.split(command)
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", *arguments], stderr=subprocess.PIPE
    ) as server:
        try:
            while server.poll() is None:
                with (
                    contextlib.suppress(ConnectionRefusedError),
                    socket.create_connection(("localhost", int(port))),
                ):
                    break
                time.sleep(0.2)
            assert server.poll() is None, server.stderr.read()
            yield
        finally:
            server.terminate()


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return str(found.getsockname()[1])
