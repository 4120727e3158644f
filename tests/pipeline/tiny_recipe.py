"""A recipe whose run takes a minute, for the tests that need a whole one."""

from pathlib import Path
from typing import Any

VARIANTS = ["K2-H4", "K2-H6"]


def tiny_recipe(sample: Path, push: str, **sections: Any) -> dict[str, Any]:
    """The recipe over `tests.conftest.tiny_sample`; `push` is the directory that is pushed to."""
    return {
        "name": "tiny",
        "data": {
            "train": [f"{sample}/train*.tfrecord"],
            "validate": [f"{sample}/validate*.tfrecord"],
            "eval_share": 0.5,
            "holdout_files": 1,
        },
        "variants": VARIANTS,
        "training": {
            "steps": 6,
            "batch_size": 16,
            "frames_per_video": 2,
            "learning_rate": 0.003,
            "batch_norm_decay": 0.8,
            "snapshot_every": 2,
            "state_every": 4,
            "log_every": 2,
            "eval_slice": 0,
        },
        "blessing": {"max_gap_drop": 0.05},
        "push": {"directory": push},
        "beam": {"workers": 1},
        **sections,
    }
