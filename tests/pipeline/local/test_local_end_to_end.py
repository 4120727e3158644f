"""Files in, a served ensemble out; then once more, from the cache."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.recipe.recipe import Recipe
from tests.pipeline.tiny_recipe import VARIANTS
from tests.records import rename_videos
from trainer.base.errors import UserError
from trainer.base.files import expand
from trainer.data.manifest import example_files
from trainer.data.records import Video, read_videos
from trainer.data.sample import write_sample

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

NODES = {
    "YouTube8MExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "Baseline", "DriftCheck",
    *(f"{step}-{name}" for step in ("Trainer", "CheckpointAverager", "Fp16Compressor") for name in VARIANTS),
    "EnsembleAssembler", "Evaluator", "ModelServerValidator", "Pusher", "RunReport",
}  # fmt: skip


@pytest.fixture
def place(local_place: Path) -> Path:
    """The directory of the run."""
    return local_place


@pytest.fixture
def first(local_run: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The run."""
    return local_run


def test_first_run_pushes_an_ensemble_that_fits(first: subprocess.CompletedProcess[str], place: Path) -> None:
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert {member["variant"] for member in report["members"]} == set(VARIANTS)
    card = json.loads((place / "served/yt8m/1/assets.extra/card.json").read_text())
    assert 0 < card["bytes"] <= 1024 * 2**20
    assert {member["variant"] for member in card["members"]} <= set(VARIANTS)
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)


def test_first_run_leaves_a_page_and_a_model_card(
    first: subprocess.CompletedProcess[str], place: Path
) -> None:
    assert first.returncode == 0, first.stderr
    assert (place / "runs/tiny/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    report = json.loads((place / "runs/tiny/report.json").read_text(encoding="utf-8"))
    assert {node["id"]: node["state"] for node in report["run"]["nodes"]} == dict.fromkeys(NODES, "done")
    assert report["run"]["recipe"]["variants"] == VARIANTS
    assert set(report["training"]) == set(VARIANTS)
    assert all(set(curves) >= {"loss", "learning_rate"} for curves in report["training"].values())
    assert report["ensemble"]["analysis"]["calibration"]["pairs"] > 0
    assert {split: found["videos"] for split, found in report["statistics"].items()} == {
        split: counts["videos"] for split, counts in report["data"]["splits"].items()
    }
    assert report["anomalies"] == {"train": [], "eval": [], "holdout": []}
    # 20 videos that nothing was chosen on, beside the GAP that members and weights were chosen by.
    assert report["evaluation"]["split"] == "holdout"
    assert report["evaluation"]["candidate"]["videos"] == report["data"]["splits"]["holdout"]["videos"] == 20
    assert report["evaluation"]["selection_gap"] == report["ensembles"][0]["gap"]
    card = (place / "served/yt8m/1/assets.extra/MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == report["push"]["model_card"]
    assert f"its GAP is {report['ensembles'][0]['gap']:.4f}" in card
    judged = report["evaluation"]["candidate"]["gap"]
    assert f"GAP {judged:.6f} on the holdout" in report["blessing"]["reasons"][0]


def test_what_was_to_be_written_is_there(
    first: subprocess.CompletedProcess[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate of the room that a run needs is a lower bound of what it takes, and a close one."""
    from pipeline.local.disk_space import run_needs

    assert first.returncode == 0, first.stderr
    monkeypatch.chdir(place)
    recipe = load_recipe("./tiny.yaml")
    files = expand([str(place / "data/span-1/*")])
    assert [need for need in run_needs(recipe, "runs/tiny", files) if need.place == "--root"] == []
    needs = run_needs(recipe, "runs/none", files)
    assert "disk, without what comes from the cache: runs/tiny " in first.stderr
    estimate = sum(need.stays for need in needs if need.place == "--root")
    written = sum(
        path.stat().st_size for path in (place / "runs/tiny/artifacts").rglob("*") if path.is_file()
    )
    assert 0.7 * written < estimate < written
    examples = place / "runs/tiny/artifacts/YouTube8MExampleGen/examples"
    size = sum(path.stat().st_size for path in examples.rglob("*") if path.is_file())
    assert size < 10_000, "frame-level files are not copied"
    for run in (place / "runs/tiny/artifacts").glob("Trainer-*/model_run/*"):
        assert {path.name for path in run.rglob("*.index")} == set(), "snapshots and states are gone"
        assert list((run / "logs").iterdir())


def test_progress_names_every_node_once_begun_and_once_done(first: subprocess.CompletedProcess[str]) -> None:
    lines = [line.split("] ", 1)[1] for line in first.stderr.splitlines() if "] " in line]
    assert sorted(line.removesuffix(" ...") for line in lines if line.endswith(" ...")) == sorted(NODES)
    assert sorted(line.split(" done: ")[0] for line in lines if " done: " in line) == sorted(NODES)


def test_the_run_is_listed_and_tensorboard_has_each_variant_by_its_name(
    first: subprocess.CompletedProcess[str], place: Path
) -> None:
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

    from pipeline.local.runs import list_runs

    assert first.returncode == 0, first.stderr
    (listed,) = list_runs(str(place / "runs"))
    gap = json.loads(first.stdout)["ensembles"][0]["gap"]
    assert [listed[key] for key in ("recipe", "state", "nodes", "gap", "pushed_version")] == [
        "tiny",
        "succeeded",
        len(NODES),
        gap,
        1,
    ]
    assert listed["seconds"] > 1
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(place / "runs/tiny/tensorboard"))
    multiplexer.Reload()
    assert set(multiplexer.Runs()) == set(VARIANTS)
    assert [event.step for event in multiplexer.Tensors(VARIANTS[0], "loss")] == [2, 4, 6]


def test_the_last_line_names_the_log(first: subprocess.CompletedProcess[str]) -> None:
    last = first.stderr.splitlines()[-1]
    assert "Component Pusher is running." in Path(last.rpartition("log: ")[2]).read_text()


def test_served_model_answers_for_a_video_of_the_eval_split(
    first: subprocess.CompletedProcess[str], place: Path
) -> None:
    from serving.client.client import PredictClient
    from serving.server.server import PredictionServer

    assert first.returncode == 0, first.stderr
    (shard, *_) = sorted((place / "runs/tiny/artifacts/YouTube8MExampleGen/examples").glob("*/Split-eval/*"))
    videos = [item for item in read_videos(example_files([str(shard)])[0]) if isinstance(item, Video)][:3]
    with (
        PredictionServer(str(place / "served/yt8m"), port=0) as server,
        PredictClient(f"localhost:{server.port}") as client,
    ):
        classes, scores = client.predict([video.sequence_example for video in videos])
    assert classes.shape == scores.shape == (len(videos), 20)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert ((classes >= 0) & (classes < 3862)).all()


def test_second_run_trains_nothing_and_compares_with_what_is_served(
    first: subprocess.CompletedProcess[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.local.runner import run_locally

    assert first.returncode == 0, first.stderr
    monkeypatch.chdir(place)
    recipe: Recipe = load_recipe("./tiny.yaml")
    second = run_locally(recipe, "runs/tiny")
    cached = {time.node for time in second.times if time.cached}
    assert cached >= {
        node for node in NODES if node.startswith(("YouTube8M", "Trainer", "CheckpointA", "Fp16", "Ensemble"))
    }
    assert "Baseline" not in cached
    (baseline,) = second.outputs["Baseline"].uris["model"]
    assert Path(baseline).is_dir()
    assert second.report.evaluation.baseline.videos == 20, "the served model is held against the holdout, too"
    # The same model is not pushed as another version.
    assert [path.name for path in (place / "served/yt8m").iterdir() if path.name.isdigit()] == ["1"]


def test_a_ladder_of_forms_goes_through_to_the_pushed_model(
    first: subprocess.CompletedProcess[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.local.runner import run_locally
    from serving.export.card import ModelCard

    assert first.returncode == 0, first.stderr
    monkeypatch.chdir(place)
    # A limit under which float16 leaves room for one of the two, and 4 bits for both.
    settings = ["compression.ladder=[float16, int4-b128]", "compression.calibration_videos=0"]
    recipe = load_recipe("./tiny.yaml", [*settings, "ensemble.limit_mib=40", "push.directory=served/ladder"])
    run = run_locally(recipe, "runs/tiny")
    assert {time.node for time in run.times if time.cached} >= {
        f"{step}-{name}" for step in ("Trainer", "CheckpointAverager") for name in VARIANTS
    }
    forms = {(row.variant, row.form): row.stored_mib for row in run.report.members}
    assert set(forms) == {(name, form) for name in VARIANTS for form in ("float16", "int4-b128")}
    assert sum(mib for (_, form), mib in forms.items() if form == "float16") > 40
    best, card = run.report.ensembles[0], ModelCard.load(str(place / "served/ladder/1"))
    assert [member.variant for member in card.members] == [*best.members]
    chosen = zip(best.members, best.forms, strict=True)
    assert card.bytes / 2**20 == pytest.approx(sum(forms[member] for member in chosen))
    assert card.bytes <= 40 * 2**20
    assert card.gap == best.gap


def test_a_new_span_is_compared_with_the_one_before_and_costs_itself_alone(
    first: subprocess.CompletedProcess[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """After a run on span 1, and one without new data: span 2, whose labels and lengths are others."""
    from components.drift.monitoring import monitor, read_reference
    from pipeline.local.runner import run_locally
    from serving.inference.local_predictor import LocalPredictor

    assert first.returncode == 0, first.stderr
    monkeypatch.chdir(place)
    # Others run on the newest span there, and expect the first one.
    request.addfinalizer(lambda: shutil.rmtree(place / "data/span-2"))
    checks = set((place / "runs/tiny/artifacts/checked").rglob("check.bin"))
    write_sample(
        "data/span-2", train_videos=120, validate_videos=80, shards=4, seed=5, min_frames=20, max_frames=24
    )
    rename_videos(Path("data/span-2"), b"second-")
    with pytest.raises(
        UserError, match=r"DriftCheck: the new videos differ from those that version 1 .*frames 1\.0"
    ):
        run_locally(load_recipe("./tiny.yaml", ["drift.stop=true", "blessing.spans=last-2"]), "runs/tiny")
    trained = place / "runs/tiny/artifacts/Trainer-K2-H4/model_run"
    assert len(list(trained.iterdir())) == 1, "drift.stop comes before anything is trained"
    new = set((place / "runs/tiny/artifacts/checked").rglob("check.bin")) - checks
    assert len(new) == 8, "each file of span 2 was read, and none of span 1"

    run = run_locally(load_recipe("./tiny.yaml", ["blessing.spans=last-2"]), "runs/tiny")
    cached = {time.node for time in run.times if time.cached}
    assert "YouTube8MExampleGen" in cached, "the run that was stopped had done it"
    assert "Trainer-K2-H4" not in cached
    report = run.report
    assert report.data.splits["train"].files == report.data.splits["holdout"].files + 3
    assert report.data.span == report.drift.span == 2
    assert {one.name for one in report.drift.measures if one.is_drift} >= {"frames"}
    assert report.drift.moved
    assert "Classes that moved most" in (place / "runs/tiny/artifacts").joinpath(
        run.outputs["RunReport"].uris["report"][0], "report.html"
    ).read_text(encoding="utf-8")
    judged = [one for one in report.evaluation.slices if one.feature == "span"]
    assert [(one.bin, one.candidate.videos, one.baseline.videos) for one in judged] == [
        ("1", 20, 20),
        ("2", 20, 20),
    ]
    assert {check.name for check in report.blessing.checks} >= {"span_1", "span_2"}

    served = str(place / "served/yt8m/1")
    for span, drifted in ((1, False), (2, True)):
        seen = monitor(
            LocalPredictor(served),
            expand([f"data/span-{span}/train*"]),
            read_reference(served),
            {"frames": 0.02, "features": 0.5, "scores": 0.2},
            version=1,
        )
        assert (seen.videos, seen.served_videos) == (120, 140)
        assert any(one.is_drift for one in seen.measures) is drifted, seen.measures
