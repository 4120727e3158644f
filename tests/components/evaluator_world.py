"""Examples and models for the Evaluator, and its executor called as TFX calls it."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.recipe.beam import BeamSection
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.records import Video, read_videos
from trainer.data.tfrecord import write_tfrecords

NUM_CLASSES = 40


class TableModel(tf.Module):
    """A video's scores are a row of a table, chosen by its first byte: exact in batches of any size."""

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.table = tf.Variable(table)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def predictions(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        _, frames, _ = tf.io.parse_sequence_example(
            examples, sequence_features={"rgb": tf.io.FixedLenSequenceFeature([], tf.string)}
        )
        first = tf.io.decode_raw(frames["rgb"][:, 0], tf.uint8, fixed_length=1024)[:, 0]
        return {"predictions": tf.gather(self.table, tf.cast(first, tf.int32))}


def write_model(uri: str, table: np.ndarray, tensor_bytes: int = 1000, gap: float | None = None) -> None:
    from serving.export.card import ModelCard

    directory = os.path.join(uri, "Format-Serving")
    model = TableModel(table)
    tf.saved_model.save(model, directory, signatures={"predictions": model.predictions})
    card = ModelCard(num_classes=table.shape[1], bytes=tensor_bytes, gap=gap, members=())
    card.save(directory)


def write_videos(path: str, count: int, table: np.ndarray, rng: np.random.Generator) -> None:
    """Videos whose labels are mostly what the table says of them, one to eight, some none."""
    records = []
    for index in range(count):
        length = int(rng.integers(1, 301))
        rgb = rng.integers(0, 256, (length, 1024), np.uint8)
        ranking = np.argsort(-table[rgb[0, 0]])
        chosen = {int(ranking[rng.integers(0, 10)]) for _ in range(rng.integers(0, 9))}
        audio = encode_frames(np.zeros((length, 128), np.uint8))
        records.append(sequence_example(f"v{index}".encode(), sorted(chosen), encode_frames(rgb), audio))
    write_tfrecords(path, records)


def table(seed: int) -> np.ndarray:
    """64 distinct scores, so that ties abound."""
    return np.random.default_rng(seed).integers(0, 64, (256, NUM_CLASSES)).astype(np.float32) / 64


@dataclass
class World:
    """Examples and two models on disk."""

    root: Path
    videos: list[Video]
    holdout: list[Video]
    candidate: np.ndarray
    baseline: np.ndarray


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("evaluator")
    candidate, baseline = table(1), np.roll(table(1), 1, axis=0)
    baseline[::2] = candidate[::2]  # right about half of the videos
    split = root / "examples" / "Split-eval"
    split.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for shard in range(2):
        write_videos(str(split / f"data-{shard}.tfrecord"), 110, candidate, rng)
    videos = [video for path in sorted(split.iterdir()) for video in read_videos(str(path), NUM_CLASSES)]
    held = root / "examples" / "Split-holdout"
    held.mkdir()
    write_videos(str(held / "data-0.tfrecord"), 60, baseline, rng)
    holdout = list(read_videos(str(held / "data-0.tfrecord"), NUM_CLASSES))
    write_model(str(root / "candidate"), candidate, gap=0.75)
    write_model(str(root / "baseline"), baseline)
    return World(root, videos, holdout, candidate, baseline)


@dataclass
class Outcome:
    """What the executor wrote."""

    results: dict[str, Any]
    reasons: dict[str, Any]
    files: set[str]
    blessed: int


Evaluate = Callable[..., Outcome]


@pytest.fixture
def evaluate(world: World, tmp_path: Path) -> Evaluate:
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import artifact_utils, channel_utils, standard_artifacts

    from components.evaluator.component import Evaluator
    from components.evaluator.executor import Executor
    from components.evaluator.files import RESULTS_FILE
    from components.verdict import REASONS_FILE

    def run(
        *,
        gap_floor: float = 0.0,
        max_gap_drop: float = 1.0,
        limit_bytes: int = 10**9,
        candidate: str = "candidate",
        with_baseline: bool = False,
        split: str = "eval",
        place: str = "examples",
        beam: Sequence[str] = tuple(BeamSection(workers=1).pipeline_args),
        out: Path = tmp_path,
    ) -> Outcome:
        examples = standard_artifacts.Examples()
        examples.uri = str(world.root / place)
        examples.split_names = artifact_utils.encode_split_names(["eval", "holdout"])
        examples.set_string_custom_property("payload_format", "FORMAT_TF_SEQUENCE_EXAMPLE")
        inputs = {"examples": [examples]}
        for key, name in (("model", candidate), ("baseline_model", "baseline")):
            artifact = standard_artifacts.Model()
            artifact.uri = str(world.root / name)
            if key == "model" or with_baseline:
                inputs[key] = [artifact]
        outputs = {
            "evaluation": [standard_artifacts.ModelEvaluation()],
            "blessing": [standard_artifacts.ModelBlessing()],
        }
        for key, (artifact,) in outputs.items():
            artifact.uri = str(out / key)
            os.makedirs(artifact.uri)
        # The execution properties as TFX's driver hands them on.
        node = Evaluator(
            examples=channel_utils.as_channel([examples]),
            model=channel_utils.as_channel(inputs["model"]),
            gap_floor=gap_floor,
            max_gap_drop=max_gap_drop,
            limit_bytes=limit_bytes,
            split=split,
        )
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(beam),
            tmp_dir=str(out / "tmp"),
            unique_id="1",
        )
        Executor(context).Do(inputs, outputs, dict(node.spec.exec_properties))
        (blessing,) = outputs["blessing"]
        return Outcome(
            json.loads((out / "evaluation" / RESULTS_FILE).read_text()),
            json.loads((out / "blessing" / REASONS_FILE).read_text()),
            set(os.listdir(blessing.uri)),
            blessing.get_int_custom_property("blessed"),
        )

    return run
