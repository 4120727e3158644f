"""LiteRT files: their answers, what is in them, the example of the docs, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from components.pusher.device_file import device_file
from pipeline.cli.main import app
from serving.export import device_graph, litert
from serving.export.card import ModelCard
from serving.export.device_graph import DeviceGraph
from serving.export.device_weights import DeviceWeights
from serving.export.litert import write_litert
from serving.export.saved_model import Member, write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.inference import device_export
from serving.inference.litert_model import LiteRtModel
from serving.inference.scoring import SavedModelScorer
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from tests.trainer.model.test_architectures import NAMES
from tests.trainer.model.test_architectures import weights_of as family_weights
from trainer.base.errors import UserError
from trainer.data.record_parts import parse_parts
from trainer.data.records import valid_videos
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "on_device.py"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A served model of two members with class names, labelled videos, and the model in int4, checked."""
    directory = tmp_path_factory.mktemp("litert")
    members = [
        Member(spec=ModelSpec.parse(name, CLASSES), weights=weights_of(name, seed), weight=weight)
        for seed, (name, weight) in enumerate((("K2-H64", 0.75), ("K3-H5", 0.25)))
    ]
    names = Vocabulary({0: "Game", 3: "Cat, small", 5: "Étude"})
    write_saved_model(str(directory / "model" / "1"), members, vocabulary=names)
    (directory / "data").mkdir()
    eval_shards(directory / "data", videos=30)
    options = ["--weights", "int4", "--check", directory / "data" / "*", "--json"]
    done = invoke("export", "--litert", directory / "model", "--out", directory / "int4.tflite", *options)
    assert done.exception is None, done.output
    (directory / "result.json").write_text(done.stdout)
    return directory


@pytest.fixture
def examples(place):
    found = valid_videos(map(str, (place / "data").iterdir()), CLASSES, pytest.fail)
    return [video.sequence_example for video in found]


@pytest.fixture
def float32(place):
    path = str(place / "float32.tflite")
    if not os.path.exists(path):
        device_export.export_litert(str(place / "model" / "1"), path, DeviceWeights.FLOAT32, ())
    return LiteRtModel(path)


def test_in_float32_it_answers_as_tensorflow_does(place, examples, float32):
    videos = list(valid_videos(map(str, (place / "data").iterdir()), CLASSES, pytest.fail))
    expected = SavedModelScorer(str(place / "model" / "1")).scores(videos)
    np.testing.assert_allclose(float32.scores(examples), expected, atol=1e-6)
    classes, scores, names = float32.predict_named(examples)
    assert classes.tolist() == np.argsort(-expected, axis=1, kind="stable").tolist()
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1), atol=1e-6)
    assert set(names.ravel()) >= {b"Game", b"Cat, small", "Étude".encode(), b"class 1"}
    assert names[classes == 3].tolist() == [b"Cat, small"] * len(examples)


def test_padding_counts_for_nothing(examples, float32):
    parts = parse_parts(examples[0])
    rgb, audio = (np.random.default_rng(0).integers(0, 256, (1, 9, size), np.uint8) for size in (1024, 128))
    few = float32.run(rgb[:, :4], audio[:, :4], np.array([4], np.int32))["predictions"]
    many = float32.run(rgb, audio, np.array([4], np.int32))["predictions"]
    np.testing.assert_allclose(few, many, atol=1e-6)
    assert parts.num_frames < 9


def test_the_check_compares_with_the_saved_model(place, examples):
    result = json.loads((place / "result.json").read_text())
    assert result["variants"] == ["K2-H64", "K3-H5"]
    assert result["bytes"] == (place / "int4.tflite").stat().st_size < 0.4 * result["source_bytes"]
    check = result["check"]
    videos = list(valid_videos(map(str, (place / "data").iterdir()), CLASSES, pytest.fail))
    expected = SavedModelScorer(str(place / "model" / "1")).scores(videos)
    scores = LiteRtModel(str(place / "int4.tflite")).scores(examples)
    assert check["videos"] == 30
    assert check["largest_difference"] == pytest.approx(np.abs(scores - expected).max())
    assert check["same_best"] == np.mean(scores.argmax(axis=1) == expected.argmax(axis=1))
    assert 0 < check["largest_difference"] < 0.1
    assert check["gap_lost"] == check["gap_tensorflow"] - check["gap"]


def test_big_kernels_are_whole_numbers_in_the_file(place):
    from ai_edge_litert import schema_py_generated as schema

    content = (place / "int4.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = model.subgraphs[0].tensors
    sizes = {
        kind: sum(int(np.prod(one.shape)) for one in tensors if one.type == kind and _is_constant(model, one))
        for kind in (schema.TensorType.INT4, schema.TensorType.FLOAT32)
    }
    card = ModelCard.load(str(place / "model" / "1"))
    big = [tensor for index in (0, 1) for tensor in card.spec(index).tensors if tensor.compressible]
    assert sizes[schema.TensorType.INT4] == sum(tensor.size for tensor in big)
    others = {code.customCode for code in model.operatorCodes if code.customCode}
    assert not others  # built-in operations alone


def _is_constant(model, tensor):
    data = model.buffers[tensor.buffer]
    return data.data is not None or bool(data.size)


def test_class_names_and_card_are_in_the_file(place):
    with zipfile.ZipFile(place / "int4.tflite") as archive:
        labels = archive.read("labels.txt").decode().splitlines()
        card = ModelCard.model_validate_json(archive.read("card.json"))
    assert labels[:6] == ["Game", "class 1", "class 2", "Cat, small", "class 4", "Étude"]
    assert len(labels) == CLASSES
    assert card == ModelCard.load(str(place / "model" / "1"))


def test_the_verb_predicts_by_the_file_without_tensorflow(place, examples):
    data = next((place / "data").iterdir())
    script = (
        "import sys; from pipeline.cli.main import app\n"
        f"app(['predict', {str(data)!r}, '--litert', {str(place / 'int4.tflite')!r}, '--json', '--limit', '3'], "
        "standalone_mode=False)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout)["videos"]
    classes, scores, names = LiteRtModel(str(place / "int4.tflite")).predict_named(examples[:3])
    for row, answer in enumerate(answers):
        assert [one["class"] for one in answer["classes"]] == classes[row].tolist()
        assert [one["score"] for one in answer["classes"]] == pytest.approx(scores[row].tolist())
        assert [one["name"].encode() for one in answer["classes"]] == names[row].tolist()


def test_the_example_of_the_docs_needs_the_interpreter_alone(place, tmp_path):
    generator = np.random.default_rng(0)
    frames = {
        name: generator.integers(0, 256, (7, size), np.uint8)
        for name, size in (("rgb", 1024), ("audio", 128))
    }
    np.savez(tmp_path / "video.npz", **frames)
    script = (
        f"import runpy, sys; sys.argv = ['x', {str(place / 'int4.tflite')!r}, 'video.npz']\n"
        f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')\n"
        "assert not {'tensorflow', 'trainer', 'serving'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    answer = LiteRtModel(str(place / "int4.tflite")).run(
        frames["rgb"][None], frames["audio"][None], np.array([7], np.int32)
    )
    shown = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert [int(line[1]) for line in shown] == answer["classes"][0].tolist()
    assert [line[0] for line in shown] == [f"{score:.4f}" for score in answer["scores"][0]]
    assert "Cat, small" in [line[2] for line in shown]


def test_the_pushers_file_is_checked(place):
    file = device_file(str(place / "model" / "1"), "int8", [str(path) for path in (place / "data").iterdir()])
    assert file.check.videos == 30
    assert abs(file.check.gap_lost) < 1e-3
    assert file.content[4:8] == b"TFL3"


def test_all_families_answer_as_in_tensorflow(tmp_path):
    """One ensemble of all of them but the one of the other tests: conversion takes a second each."""
    names = {name.split("-")[0]: name for name in NAMES if not name.startswith(("Stages", "K"))}
    specs = [ModelSpec.parse(name, CLASSES) for name in names.values()]
    graph = DeviceGraph([Member(spec=spec, weights=family_weights(spec), weight=1 / 16) for spec in specs])
    (tmp_path / "all.tflite").write_bytes(litert._converted(graph))
    model = LiteRtModel(str(tmp_path / "all.tflite"))
    for real, length in ((1, 1), (4, 9)):
        frames = np.random.default_rng(real).integers(0, 256, (1, length, 1152), np.uint8)
        answer = model.run(*np.split(frames, [1024], axis=2), np.array([real], np.int32))["predictions"]
        once = tf.sequence_mask([real], length, tf.float32)
        expected = sum(
            spec.architecture.forward(dequantize(frames), once, family_weights(spec)) / 16 for spec in specs
        )
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_operations_that_litert_lacks_are_named(monkeypatch):
    spec = ModelSpec.parse("MLP-H9", CLASSES)
    monkeypatch.setattr(
        type(spec.architecture),
        "forward",
        lambda _, frames, *__: tf.math.reduce_euclidean_norm(frames.values(), axis=1)[:, :CLASSES],
    )
    with pytest.raises(UserError, match="MLP-H9: LiteRT lacks the operations EuclideanNorm"):
        litert._converted(DeviceGraph([Member(spec=spec, weights=family_weights(spec))]))


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_an_onnx_file_is_checked_and_has_names_and_card(place, tmp_path, weights):
    onnxruntime = pytest.importorskip("onnxruntime")
    path, data = tmp_path / "x.onnx", place / "data" / "*"
    done = invoke(
        *("export", "--onnx", place / "model", "--out", path, "--weights", weights, "--check", data, "--json")
    )
    assert done.exception is None, done.output
    check = json.loads(done.stdout)["check"]
    assert (check["runtime"], check["videos"]) == ("ONNX Runtime", 30)
    assert check["largest_difference"] < (1e-5 if weights == "float32" else 0.02)
    assert abs(check["gap_lost"]) < (1e-6 if weights == "float32" else 1e-3)
    assert (path.stat().st_size < 500_000) == (weights == "int8")
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert metadata["labels"].split("\n")[:4] == ["Game", "class 1", "class 2", "Cat, small"]
    assert ModelCard.model_validate_json(metadata["card"]) == ModelCard.load(str(place / "model" / "1"))


def test_more_weights_than_one_file_holds_are_refused_at_once(place, monkeypatch, tmp_path):
    monkeypatch.setattr(device_graph, "LARGEST", 1000)
    with pytest.raises(UserError, match="export a smaller ensemble, or one of its members"):
        write_litert(str(place / "model" / "1"), str(tmp_path / "x.tflite"), DeviceWeights.INT8)


def test_a_file_that_loses_gap_is_not_written(place, monkeypatch, tmp_path):
    monkeypatch.setitem(device_export.TOLERANCES, DeviceWeights.INT4, -1.0)
    monkeypatch.setattr(
        device_export, "write_litert", lambda _, path, __: shutil.copy(place / "int4.tflite", path)
    )
    data = [str(path) for path in (place / "data").iterdir()]
    with pytest.raises(UserError, match=r"int4 loses more than .*x.tflite was not written \(30 videos: GAP "):
        device_export.export_litert(
            str(place / "model" / "1"), str(tmp_path / "x.tflite"), DeviceWeights.INT4, data
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--litert", "--out", "x.tflite"], "give --check FILES"),
        (["--out", "x.tflite", "--unchecked"], "say what to write: --litert"),
        (
            ["--onnx", "--out", "x.onnx", "--unchecked", "--weights", "int4"],
            "stores weights as float32 or int8",
        ),
        (
            ["--litert", "--out", "no/such/x.tflite", "--unchecked"],
            "--out no/such/x.tflite: give the path of a file",
        ),
        (["--onnx", "--out", "x.tflite", "--unchecked"], "--onnx writes no .tflite file"),
        (["--litert", "--out", "x.onnx", "--unchecked"], "--litert writes no .onnx file"),
        (["--litert", "--out", "x.tflite", "--check", "no-such-file"], "no file matches no-such-file"),
    ],
)
def test_wrong_options_are_refused_at_once(place, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    done = invoke("export", place / "model", *options)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, b"", b"no model" * 1000])
def test_what_is_no_litert_file_is_refused(place, tmp_path, content):
    path = tmp_path / "x.tflite"
    if content is not None:
        path.write_bytes(content)
    done = invoke("predict", next((place / "data").iterdir()), "--litert", path)
    assert isinstance(done.exception, UserError)
    assert str(path) in str(done.exception)
