"""An architecture and a codec of the tests' own go the whole way: trained, averaged, compressed, assembled, served."""

import os

import numpy as np
import pytest
import tensorflow as tf

from components.checkpoint_averager.averager import average_checkpoints
from components.checkpoint_averager.config import AveragingConfig
from components.ensemble_assembler.assembler import assemble
from components.fp16_compressor.compressor import compress_model
from components.model_server_validator.probes import choose_probes
from components.model_server_validator.validation import validate_server
from components.trainer.run_fn import run_fn
from pipeline.kubeflow.sizing import step_resources
from pipeline.recipe.recipe import Recipe
from serving.export.card import ModelCard
from serving.export.compression import stored_bytes
from serving.export.saved_model import read_weights
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from tests.tiny_family import Columns
from trainer.base.units import MIB
from trainer.checkpoints.snapshots import list_snapshots, write_snapshot
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig

CODEC = Columns(127)
SPEC = ModelSpec.parse("Stages-W6", CLASSES)


class _FnArgs:
    """What TFX's Trainer hands over."""

    def __init__(self, place, files):
        self.train_files = self.eval_files = files
        self.serving_model_dir = str(place / "trained" / "Format-Serving")
        self.model_run_dir = str(place / "run")
        training = TrainingConfig(
            steps=6, batch_size=8, frames_per_video=2, snapshot_every=2, dropout=0.2, learning_rate=0.01
        )
        self.custom_config = {
            "variant": SPEC.name,
            "training": training.model_dump(),
            "num_classes": CLASSES,
        }


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    files = eval_shards(tmp_path)
    arguments = _FnArgs(tmp_path, files)
    run_fn(arguments)
    snapshots = os.path.join(arguments.model_run_dir, "snapshots")
    assert [one.step for one in list_snapshots(snapshots)] == [2, 4, 6]
    assert ModelSpec.load(snapshots) == SPEC

    averaged, small, target = (str(tmp_path / name) for name in ("averaged", "small", "ensemble"))
    report = average_checkpoints(snapshots, files, averaged, AveragingConfig())
    assert report.variant == "Stages-W6"
    report = compress_model(averaged, files, small, tolerance=0.05, codec=CODEC)
    assert report.encoding == "Columns-L127"
    assert report.stored_bytes == stored_bytes(SPEC, CODEC) < report.float32_bytes == SPEC.float32_bytes
    encodings = {tensor.name: tensor.encoding for tensor in report.tensors}
    assert encodings["stage/weights"] == encodings["frame/weights"] == "Columns-L127"
    assert encodings["stage/scale"] == "float32"

    # Beside a member of another family and another stored form.
    write_snapshot(str(tmp_path / "other"), 1, weights_of("K2-H3", 0))
    average_checkpoints(str(tmp_path / "other"), files, str(tmp_path / "other-model"), AveragingConfig())
    compress_model(str(tmp_path / "other-model"), files, str(tmp_path / "other-small"), tolerance=1.0)
    report = assemble([[small], [str(tmp_path / "other-small")]], files, target, 10 * MIB)
    assert {member.variant for member in report.members} == {"Stages-W6", "K2-H3"}

    card, model = ModelCard.load(target), tf.saved_model.load(target)
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 1152), np.uint8)
    expected = sum(
        member.weight
        * card.spec(index).architecture.forward(dequantize(frames), None, read_weights(target, index)).numpy()
        for index, member in enumerate(card.members)
    )
    inputs = {"rgb": frames[..., :1024], "audio": frames[..., 1024:], "num_frames": np.int32([4, 4, 4])}
    answer = model.signatures["frame_predictions"](**{k: tf.constant(v) for k, v in inputs.items()})
    np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)

    # A model server of this project loads it and answers over gRPC.
    verdict = validate_server(small, choose_probes(files))
    assert verdict.blessed, verdict.reasons


def test_a_recipe_takes_any_architecture_and_any_number_of_classes(tmp_path):
    recipe = Recipe.model_validate(
        {
            "name": "test",
            "data": {"validate": ["x"], "num_classes": 4716},
            "variants": ["Stages-W6", "K2-H3-M2"],
            "training_overrides": {"Stages-W6": {"steps": 7}},
            "push": {"directory": str(tmp_path)},
        }
    )
    assert [str(variant) for variant in recipe.variants] == ["Stages-W6", "K2-H3-M2"]
    assert recipe.training_of(recipe.variants[0]).steps == 7
    assert recipe.spec_of(recipe.variants[1]) == ModelSpec.parse("K2-H3-M2", 4716)
    assert {"Trainer-Stages-W6", "Trainer-K2-H3-M2"} <= step_resources(recipe).keys()
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe
