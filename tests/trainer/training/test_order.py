"""What only the order of frames tells: recurrent families learn it, bags of frames cannot."""

from pathlib import Path

import pytest

from trainer.data.sample import write_sample
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.loop import train

CLASSES = 24
CHANCE = 0.07
"""Above what guessing gets: one in 24 is right."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("order")
    options = {"shards": 2, "min_frames": 8, "max_frames": 16, "num_classes": CLASSES}
    write_sample(str(directory), train_videos=2400, validate_videos=400, order=True, **options)
    return directory


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "learns"), [("GRU-L1-H32-M1", True), ("K4-H16-M1", False), ("MLP-H32", False)]
)
def test_only_what_sees_the_order_learns_it(videos, tmp_path, name, learns):
    files, unseen = ([str(path) for path in videos.glob(f"{kind}*")] for kind in ("train", "validate"))
    spec = ModelSpec.parse(name, CLASSES)
    config = TrainingConfig(
        steps=200,
        batch_size=48,
        frames_per_video=32,
        learning_rate=3e-3,
        batch_norm_decay=0.9,
        snapshot_every=200,
        state_every=200,
        eval_slice=0,
    )
    scorer = Scorer(spec, train(spec, config, files, unseen, str(tmp_path)).variables)
    gap = evaluate(scorer, unseen).gap
    assert gap >= 0.8 if learns else gap < CHANCE
