"""A run with students, under the root of a run without: what both share comes from the cache."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.recipe.loader import load_recipe
from tests.pipeline.tiny_recipe import VARIANTS
from trainer.data.soft_targets import SoftTargets
from trainer.data.yt8m import NUM_CLASSES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

STUDENTS = VARIANTS
"""Of the same architectures as their teachers: the first learns from soft targets, the second from a consistent one."""
NEW = {
    "TeachingAssembler", "Teacher", "EnsembleAssembler", "RunReport",
    *(f"{step}-Student-{name}" for step in ("Trainer", "CheckpointAverager", "Fp16Compressor") for name in STUDENTS),
}  # fmt: skip


def test_students_are_taught_and_assembled_with_their_teachers(
    local_run: subprocess.CompletedProcess[str], local_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.local.runner import run_locally

    assert local_run.returncode == 0, local_run.stderr
    monkeypatch.chdir(local_place)
    content = yaml.safe_load(Path("tiny.yaml").read_text())
    content["training"]["distillation"] = {"weight": 0.8}
    content["training_overrides"] = {STUDENTS[1]: {"distillation": {"weight": 1.0, "consistent": True}}}
    Path("students.yaml").write_text(yaml.safe_dump({**content, "students": STUDENTS}))
    finished = run_locally(load_recipe("./students.yaml"), "runs/tiny")
    cached = {time.node for time in finished.times if time.cached}
    assert not cached & NEW
    assert cached >= {f"{step}-{name}" for step in ("Trainer", "CheckpointAverager") for name in VARIANTS}
    report = finished.report
    names = [*VARIANTS, *(f"Student-{name}" for name in STUDENTS)]
    assert {member.variant for member in report.members} == set(names)
    assert set(report.training) == set(report.averaging) == set(report.compression) == set(names)
    # What RunReport wrote is what the metadata store says.
    (page,) = finished.outputs["RunReport"].uris["report"]
    written = json.loads(Path(page, "report.json").read_text())
    assert written["members"] == [row.document() for row in report.members]
    (directory,) = finished.outputs["Teacher"].uris["soft_targets"]
    soft_targets = SoftTargets(directory)
    assert len(soft_targets) == report.data.splits["train"].videos
    assert soft_targets.manifest.num_classes == NUM_CLASSES
    assert not (local_place / "runs/tiny/work").exists() or not list(
        (local_place / "runs/tiny/work").iterdir()
    )
