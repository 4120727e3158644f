"""Batch inference by Beam: the same output as without it."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.batch_inference import beam_steps
from components.batch_inference.run import infer_with_beam
from components.remote_tree import copy_remote_tree
from serving.inference import inference_parts
from serving.inference.batch_inference import infer
from serving.inference.local_predictor import LocalPredictor
from tests.records import random_example
from tests.serving.tiny_model import write_tiny_model
from trainer.base.errors import UserError
from trainer.data.tfrecord import write_tfrecords

pytestmark = pytest.mark.slow

FILES, VIDEOS, BATCH = 4, 9, 4
IN_MEMORY = ("--runner=DirectRunner", "--direct_num_workers=1", "--direct_running_mode=in_memory")
PROCESSES = ("--runner=DirectRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return write_tiny_model(str(tmp_path_factory.mktemp("models") / "model"))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """With one record that is no video."""
    directory, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    paths = [str(directory / f"{index}.tfrecord") for index in range(FILES)]
    for index, path in enumerate(paths):
        records = [
            random_example(generator, 1 + place % 3, (), f"v{index}{place}".encode())
            for place in range(VIDEOS)
        ]
        write_tfrecords(path, records if index else [*records[:2], b"no record", *records[2:]])
    return paths


@pytest.fixture(scope="module")
def wanted(model, files, tmp_path_factory) -> Path:
    """The directory of what `infer` writes: s.csv, s.parquet and their rejects."""
    directory, predictor = tmp_path_factory.mktemp("wanted"), LocalPredictor(model)
    for ending in ("csv", "parquet"):
        infer(predictor, "m", files, str(directory / f"s.{ending}"), BATCH)
    predictor.close()
    return directory


def same(made: Path, wanted: Path) -> None:
    names = sorted(path.name for path in made.iterdir())
    assert names
    for name in names:
        assert (made / name).read_bytes() == (wanted / name).read_bytes(), name


def test_the_output_is_that_of_infer_and_a_process_loads_the_model_once(
    model, files, wanted, tmp_path, monkeypatch
):
    loaded, load = [], LocalPredictor

    def count(directory):
        loaded.append(directory)
        return load(directory)

    monkeypatch.setattr(beam_steps, "LocalPredictor", count)
    for ending in ("csv", "parquet"):
        result = infer_with_beam(model, files, str(tmp_path / f"s.{ending}"), IN_MEMORY, BATCH)
        assert (result.videos, result.files, result.rejected) == (FILES * VIDEOS, FILES, 1)
    assert len(loaded) == 2  # one a pipeline
    assert len(list(tmp_path.iterdir())) == 4
    same(tmp_path, wanted)


def test_several_processes(model, files, wanted, tmp_path):
    infer_with_beam(model, files, str(tmp_path / "s.csv"), PROCESSES, BATCH)
    same(tmp_path, wanted)


def test_what_an_interrupted_run_has_made_is_used(model, files, wanted, tmp_path, monkeypatch):
    """Made by `infer` itself; then only the files that are missing are read."""
    out, predictor, asked = str(tmp_path / "s.csv"), LocalPredictor(model), []

    class Interrupted:
        def predict(self, examples):
            if len(asked) == 4:  # three batches a file
                raise KeyboardInterrupt
            asked.append(len(examples))
            return predictor.predict(examples)

    identity = inference_parts.directory_identity(model)
    with pytest.raises(KeyboardInterrupt):
        infer(Interrupted(), identity, files, out, BATCH, concurrency=1)
    predictor.close()
    read, made = [], beam_steps.predict_part
    monkeypatch.setattr(
        beam_steps, "predict_part", lambda *args, **more: read.append(args[1]) or made(*args, **more)
    )
    result = infer_with_beam(model, files, out, IN_MEMORY, BATCH)
    assert (result.resumed_files, sorted(read)) == (1, files[1:])
    same(tmp_path, wanted)


def test_addresses_with_a_scheme(model, files, wanted, tmp_path):
    """All of model, data and output go through TensorFlow's file systems, as they do in a bucket."""
    root = f"file://{tmp_path}"
    for source, name in ((model, "model"), (str(Path(files[0]).parent), "data")):
        copy_remote_tree(source, f"{root}/{name}")
    there = [f"{root}/data/{Path(path).name}" for path in files]
    for ending in ("csv", "parquet"):
        infer_with_beam(f"{root}/model", there, f"{root}/s.{ending}", IN_MEMORY, BATCH)
        assert (tmp_path / f"s.{ending}").read_bytes() == (wanted / f"s.{ending}").read_bytes()
    (reject,) = (tmp_path / "s.csv.rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["file"] == there[0]
    assert len(list(tmp_path.iterdir())) == 6


def test_what_is_wrong_is_the_users_error(model, files, tmp_path):
    out = tmp_path / "s.csv"
    (tmp_path / "broken").mkdir()
    for name in ("saved_model.pb", "variables/variables.index"):
        path = tmp_path / "broken" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not a graph")
    with pytest.raises(UserError, match=r"variables\.index: it is damaged"):
        infer_with_beam(str(tmp_path / "broken"), files, str(out), IN_MEMORY)
    bad = str(tmp_path / "bad.tfrecord")
    write_tfrecords(bad, [b"no record"])
    with pytest.raises(UserError, match="no valid video in 1 files"):
        infer_with_beam(model, [bad], str(out), IN_MEMORY)
    assert not out.exists()
