"""Members of several families: those that are inferior in their own family go, and all combinations are searched."""

import numpy as np
import pytest
import tensorflow as tf

from components.ensemble_assembler.assembler import assemble
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_weights, write_saved_model
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.units import MIB
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec

NAMES = ["K2-H3", "MLP-H16", "MLP-H12", "GRU-L1-H4", "NeXtVLAD-G2-K4-H16", "Chain-S2-H16-N8", "MLP-H14"]


@pytest.mark.slow
def test_a_mixed_ensemble_is_searched_and_written(tmp_path):
    files = eval_shards(tmp_path, videos=60)
    directories, gaps = [], {}
    for seed, name in enumerate(NAMES):
        spec = ModelSpec.parse(name, CLASSES)
        encoded = compress(spec, weights_of(name, seed), FLOAT16)
        directories.append(str(tmp_path / name))
        write_saved_model(directories[-1], [Member(spec=spec, weights=encoded)])
        scorer = Scorer(spec)
        scorer.load({key: value.decode() for key, value in encoded.items()})
        gaps[name] = evaluate(scorer, files).gap
    target = str(tmp_path / "ensemble")
    report = assemble([[directory] for directory in directories], files, target, 10 * MIB).model_dump(
        mode="json"
    )

    sizes = {name: stored_bytes(ModelSpec.parse(name, CLASSES), FLOAT16) for name in NAMES}
    found = {member["variant"]: member for member in report["members"]}
    assert {name: member["bytes"] for name, member in found.items()} == sizes
    assert {name: member["gap"] for name, member in found.items()} == pytest.approx(gaps, abs=1e-6)
    inferior = {
        name
        for name in NAMES
        if any(
            other.startswith(name.split("-")[0]) and sizes[other] < sizes[name] and gaps[other] >= gaps[name]
            for other in NAMES
        )
    }
    assert {name for name, member in found.items() if member["inferior_to"]} == inferior
    assert 0 < len(inferior) < 3, "one of the three perceptrons goes, and nobody else"
    assert report["combinations_fitting"] == 2 ** (len(NAMES) - len(inferior)) - 1

    card, model = ModelCard.load(target), tf.saved_model.load(target)
    assert [member.variant for member in card.members] == report["ensembles"][0]["members"]
    assert len(card.members) > 1
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 1152), np.uint8)
    expected = sum(
        member.weight
        * card.spec(index).architecture.forward(dequantize(frames), None, read_weights(target, index)).numpy()
        for index, member in enumerate(card.members)
    )
    inputs = {"rgb": frames[..., :1024], "audio": frames[..., 1024:], "num_frames": np.int32([4, 4, 4])}
    answer = model.signatures["frame_predictions"](
        **{key: tf.constant(value) for key, value in inputs.items()}
    )
    np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)
