"""Baseline, ModelServerValidator, Pusher: executors on real artifacts, and Baseline in a pipeline."""

import json
from pathlib import Path

import pytest

from components.verdict import Check, Verdict
from serving.export.card import ModelCard
from serving.store import model_store
from tests.records import write_shards
from tests.serving.store.model_files import write_model
from tests.serving.tiny_model import write_tiny_model
from trainer.base.errors import UserError

pytestmark = pytest.mark.slow

_PUSH = {"run_id": "1", "model_name": "yt8m", "data_licence": "CC BY 4.0"}


@pytest.fixture(scope="module")
def artifacts():
    from tfx.types import standard_artifacts

    return standard_artifacts


def make(kind, uri):
    artifact = kind()
    artifact.uri = str(uri)
    Path(uri).mkdir(parents=True, exist_ok=True)
    return artifact


@pytest.fixture
def candidate(artifacts, tmp_path):
    model = make(artifacts.Model, tmp_path / "candidate")
    directory = write_tiny_model(str(tmp_path / "candidate" / "Format-Serving"))
    ModelCard(num_classes=30, bytes=4, gap=None, members=()).save(directory)
    return model


@pytest.fixture
def examples(artifacts, tmp_path):
    found = make(artifacts.Examples, tmp_path / "examples")
    found.split_names = '["train", "eval", "holdout"]'
    (tmp_path / "examples" / "Split-holdout" / "not_for_the_validator.tfrecord").mkdir(parents=True)
    split = tmp_path / "examples" / "Split-eval"
    split.mkdir()
    write_shards(split, shards=2, videos=3, num_classes=30)
    return found


def blessing(kind, uri, value):
    made = make(kind, uri)
    made.set_int_custom_property("blessed", value)
    return made


def test_the_validators_blessing_is_what_pushers_read(artifacts, candidate, examples, tmp_path):
    from tfx.components.util.model_utils import is_infra_validated

    from components.model_server_validator.executor import Executor

    given = make(artifacts.InfraBlessing, tmp_path / "blessing")
    Executor().Do({"model": [candidate], "examples": [examples]}, {"blessing": [given]}, {})
    assert is_infra_validated(given)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    assert json.loads((tmp_path / "blessing" / "blessing_reasons.json").read_text())["blessed"] is True


def test_the_validator_takes_no_broken_model(artifacts, candidate, examples, tmp_path, monkeypatch):
    from tfx.components.util.model_utils import is_infra_validated

    from components.model_server_validator import executor

    broken = Verdict.from_checks([Check(name="load", passed=False, text="it is broken")])
    monkeypatch.setattr(executor, "validate_server", lambda *_: broken)
    given = make(artifacts.InfraBlessing, tmp_path / "blessing")
    executor.Executor().Do({"model": [candidate], "examples": [examples]}, {"blessing": [given]}, {})
    assert not is_infra_validated(given)
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    assert json.loads((tmp_path / "blessing" / "blessing_reasons.json").read_text()) == {
        "blessed": False,
        "reasons": ["it is broken"],
        "checks": [{"name": "load", "passed": False, "text": "it is broken"}],
    }


@pytest.mark.parametrize(("evaluated", "served"), [(1, 1), (0, 1), (1, 0)])
def test_the_pusher_pushes_what_both_blessed(
    artifacts, candidate, examples, tmp_path, monkeypatch, evaluated, served
):
    from components.artifacts import Report
    from components.pusher import executor

    base = str(tmp_path / "served")
    pushed = make(artifacts.PushedModel, tmp_path / "pushed")
    inputs = {
        "model": [candidate],
        "model_blessing": [blessing(artifacts.ModelBlessing, tmp_path / "evaluated", evaluated)],
        "infra_blessing": [blessing(artifacts.InfraBlessing, tmp_path / "infra", served)],
        "evaluation": [make(artifacts.ModelEvaluation, tmp_path / "evaluation")],
        "data": [make(Report, tmp_path / "data")],
    }
    measured = {"gap": 0.5, "hit_at_one": 0.5, "perr": 0.5, "map": 0.5, "videos": 6}
    results = {"candidate": measured, "baseline": None, "slices": []}
    (tmp_path / "evaluation" / "results.json").write_text(json.dumps(results))
    (tmp_path / "data" / "report.json").write_text(
        json.dumps({"splits": {}, "rejected": {}, "rejected_videos": 3, "share": 0.0})
    )
    files = []
    monkeypatch.setattr(executor, "device_file", lambda _, weights, found: files.append((weights, found)))
    wanted = {"litert_weights": "int8", "split": "eval"} if evaluated else {}
    inputs["examples"] = [examples]
    executor.Executor().Do(inputs, {"pushed_model": [pushed]}, _PUSH | {"push_destination": base} | wanted)
    result = json.loads((tmp_path / "pushed" / "pushed.json").read_text())
    good = bool(evaluated and served)
    assert result["pushed"] is good
    assert "| all | 6 | 0.5000 |" in result["model_card"]
    assert "- 3 records could not be used." in result["model_card"]
    assert pushed.get_int_custom_property("pushed") == int(good)
    assert model_store.list_versions(base) == ([1] if good else [])
    # A file for devices is made of a model that is pushed, and checked with the files of the split.
    assert [weights for weights, _ in files] == (["int8"] if good else [])
    assert all("/Split-eval/" in path for _, found in files for path in found)
    if good:
        assert pushed.get_string_custom_property("pushed_version") == "1"
        assert pushed.get_string_custom_property("pushed_destination") == f"{base}/1"


def test_a_pipeline_without_a_served_model_runs_without_a_baseline_and_then_with_it(tmp_path):
    from tfx.orchestration import metadata
    from tfx.orchestration.data_types import RuntimeParameter
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    from components.baseline.component import Baseline
    from tests.components.recording_component import RECORD, Recorder

    base = str(tmp_path / "served")

    def run():
        baseline = Baseline(base, RuntimeParameter("pipeline-run-id", str))
        components = [baseline, Recorder(baseline.outputs["model"])]
        LocalDagRunner().run(
            Pipeline(
                "tiny",
                str(tmp_path / "root"),
                components=components,
                enable_cache=True,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "m.db")),
            )
        )
        records = (tmp_path / "root" / "Recorder" / "report").glob(f"*/{RECORD}")
        newest = max(records, key=lambda path: int(path.parent.name))
        return int(newest.parent.name), json.loads(newest.read_text())

    first, given = run()
    assert given == []
    assert run() == (first, [])  # nothing served is the same input again: from the cache
    model_store.publish(write_tiny_model(str(tmp_path / "model")), base)
    second, given = run()
    assert second > first
    assert [one["version"] for one in given] == [1]
    assert Path(given[0]["uri"], "Format-Serving", "saved_model.pb").exists()
    assert not given[0]["uri"].startswith(base)
    # What the Evaluator could not use is not handed to it.
    model_store.publish(write_model(tmp_path / "broken"), base)
    with pytest.raises(UserError, match=r"version 2 of .* is served, .*: it is damaged: "):
        run()
