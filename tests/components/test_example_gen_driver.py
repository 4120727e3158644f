"""ExampleGen's driver and choice of files: which spans of a window go to which split."""

import os
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.span_window import SpanWindow
from trainer.base.errors import UserError
from trainer.data.sample import write_sample

pytestmark = pytest.mark.slow


def test_a_window_of_spans_keeps_each_spans_eval_split(tmp_path: Path) -> None:
    """Driver and choice of files alone; that only new files are read is in the tests of whole runs."""
    from components.example_gen.component import YouTube8MExampleGen
    from components.example_gen.driver import Driver
    from components.example_gen.executor import _choose_files

    def write(span: int) -> None:
        write_sample(str(tmp_path / f"span-{span}"), train_videos=2, validate_videos=4, shards=2, seed=span)

    def splits(**settings: Any) -> dict[str, list[tuple[int, str]]]:
        generator = YouTube8MExampleGen(
            [f"{tmp_path}/span-{{SPAN}}/train*"], [f"{tmp_path}/span-{{SPAN}}/validate*"], **settings
        )
        resolved = Driver(None).resolve_exec_properties(dict(generator.spec.exec_properties), None, None)
        files, _ = _choose_files(resolved, resolved["span"])
        return {name: [(span, Path(path).name) for path, span in found] for name, found in files.items()}

    write(1)
    write(3)
    first = splits(trained=SpanWindow(0, 10))
    assert {name: [span for span, _ in files] for name, files in first.items()} == {
        "train": [1, 1, 1, 3, 3, 3],
        "eval": [1, 3],
    }
    assert {span for span, _ in splits()["train"]} == {3}
    write(4)
    assert set(first["eval"]) < set(splits(trained=SpanWindow(0, 10))["eval"])
    assert {span for span, _ in splits(trained=SpanWindow(0, 2))["train"]} == {3, 4}
    assert {span for span, _ in splits(trained=SpanWindow(4, 9))["train"]} == {4}
    judged = splits(trained=SpanWindow(0, 1), judged=SpanWindow(2, 10))
    assert {name: {span for span, _ in files} for name, files in judged.items()} == {
        "train": {4},
        "eval": {3, 4},
    }
    with pytest.raises(UserError, match="the newest span is 4, before 5"):
        splits(trained=SpanWindow(5, 9))
    spanless = YouTube8MExampleGen([], [f"{tmp_path}/span-4/*"], trained=SpanWindow(0, 2))
    with pytest.raises(UserError, match=r"the pattern .* has no \{SPAN\}"):
        Driver(None).resolve_exec_properties(dict(spanless.spec.exec_properties), None, None)


@pytest.mark.parametrize("patterns", ["{}/*", "{}/span-{{SPAN}}/*"])
def test_a_file_that_changes_in_a_second_or_its_name_changes_the_fingerprint(
    tmp_path: Path, patterns: str
) -> None:
    from components.example_gen.component import YouTube8MExampleGen
    from components.example_gen.driver import Driver

    place = tmp_path / "span-1" if "SPAN" in patterns else tmp_path
    write_sample(str(place), train_videos=2, validate_videos=4, shards=2, seed=0)
    window = {"trained": SpanWindow(0, 10)} if "SPAN" in patterns else {}
    generator = YouTube8MExampleGen([], [patterns.format(tmp_path)], **window)

    def fingerprint() -> str:
        return Driver(None).resolve_exec_properties(dict(generator.spec.exec_properties), None, None)[
            "input_fingerprint"
        ]

    file = place / "validate0000.tfrecord"
    second = 1_700_000_000
    os.utime(file, ns=(second * 10**9, second * 10**9 + 100))
    first = fingerprint()
    assert fingerprint() == first
    os.utime(file, ns=(second * 10**9, second * 10**9 + 200))
    mended = fingerprint()
    assert mended != first
    file.rename(place / "validate0009.tfrecord")
    assert fingerprint() not in (first, mended)
