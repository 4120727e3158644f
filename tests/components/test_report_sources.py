"""What a report is made from: curves of event files, statistics, anomalies, provenance."""

import hashlib
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies, AnomalyInfo
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList, Histogram

from components.run_report import curves, provenance
from components.run_report.curves import Curve, read_curves
from components.run_report.provenance import code_version
from components.run_report.run_facts import RunFacts
from components.run_report.sources import read_run
from components.run_report.statistics import read_anomalies, read_statistics
from tests.components.report_samples import facts
from trainer.base.errors import UserError


def log(directory: Path, steps: range, offset: float = 0.0) -> None:
    """What a Trainer's log writes for these steps."""
    writer = tf.summary.create_file_writer(str(directory / "logs"))
    for step in steps:
        with writer.as_default(step=step):
            tf.summary.scalar("loss", step + offset)
            tf.summary.scalar("gradient_norm", 1.0)
    writer.close()


def event_files(directory: Path) -> list[str]:
    return sorted(map(str, (directory / "logs").iterdir()))


def test_a_run_that_went_on_counts_its_later_values(tmp_path):
    log(tmp_path, range(1, 7))
    log(tmp_path, range(5, 9), offset=0.5)
    assert len(event_files(tmp_path)) == 2
    found = read_curves(reversed(event_files(tmp_path)))
    assert found == {"loss": Curve(steps=(*range(1, 9),), values=(1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5))}


def test_an_event_file_may_end_anywhere(tmp_path):
    log(tmp_path, range(1, 7))
    (path,) = event_files(tmp_path)
    whole = Path(path).read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 3):
        Path(path).write_bytes(whole[:length])
        found = read_curves([path])
        steps = found["loss"].steps if found else ()
        assert steps == (*range(1, len(steps) + 1),)
        assert len(steps) < 7


def test_long_curves_are_thinned_and_keep_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "POINTS", 10)
    log(tmp_path, range(1, 24))
    loss = read_curves(event_files(tmp_path))["loss"]
    assert loss == Curve(steps=(3, 6, 9, 12, 15, 18, 21, 23), values=(2, 5, 8, 11, 14, 17, 20, 22.5))


def write_statistics(directory: Path, labelled: bool = True) -> None:
    made = DatasetFeatureStatisticsList()
    dataset = made.datasets.add(num_examples=10)
    frames = dataset.features.add()
    frames.path.step.append("num_frames")
    frames.num_stats.min, frames.num_stats.mean, frames.num_stats.median, frames.num_stats.max = 1, 4, 3, 9
    for kind, high in ((Histogram.QUANTILES, 9), (Histogram.STANDARD, 5)):
        histogram = frames.num_stats.histograms.add(type=kind)
        histogram.buckets.add(low_value=1, high_value=high, sample_count=10)
    if labelled:
        labels = dataset.features.add()
        labels.path.step.append("labels")
        common = labels.num_stats.common_stats
        common.min_num_values, common.avg_num_values, common.max_num_values = 1, 2.5, 6
    path = directory / "Split-eval" / "FeatureStats.pb"
    path.parent.mkdir(parents=True)
    path.write_bytes(made.SerializeToString())


def test_statistics_of_the_splits_there_are(tmp_path):
    write_statistics(tmp_path)
    found = read_statistics(str(tmp_path))
    assert found.keys() == {"eval"}
    assert found["eval"].document() == {
        "videos": 10,
        "frames": {
            "min": 1,
            "mean": 4,
            "median": 3,
            "max": 9,
            "histogram": ({"start": 1, "end": 5, "videos": 10},),
        },
        "labels": {"min": 1, "mean": 2.5, "max": 6},
    }


def test_statistics_of_videos_without_any_label(tmp_path):
    """TFDV leaves the feature out."""
    write_statistics(tmp_path, labelled=False)
    assert read_statistics(str(tmp_path))["eval"].labels.document() == {"min": 0, "mean": 0, "max": 0}


def test_anomalies_as_texts(tmp_path):
    info = AnomalyInfo(short_description="Out of range", description="value 9 > 5.")
    for split, found in (("train", {}), ("eval", {"num_frames": info})):
        path = tmp_path / f"Split-{split}" / "SchemaDiff.pb"
        path.parent.mkdir()
        path.write_bytes(Anomalies(anomaly_info=found).SerializeToString())
    assert read_anomalies(str(tmp_path)) == {
        "train": [],
        "eval": ["eval split, feature num_frames: Out of range (value 9 > 5)"],
    }


def test_what_is_missing_reports_nothing(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    single = dict.fromkeys(("data", "statistics", "anomalies", "push"), nowhere)
    each = {"K2-H4": nowhere}
    found = read_run(RunFacts.model_validate(facts(["K2-H4"])), single, each, each, each).document()
    del found["run"]
    assert found.pop("training") == {"K2-H4": {}}
    assert found.keys() >= {"drift", "half_time", "teacher", "ensemble", "evaluation", "blessing"}
    assert not any(found.values())


def test_a_document_that_is_damaged_is_named(tmp_path):
    (tmp_path / "report.json").write_text('{"variant": "K2-H4"')
    each = {"K2-H4": str(tmp_path)}
    with pytest.raises(
        UserError, match=r"report\.json cannot be read: .*: remove its directory and start the run again"
    ):
        read_run(RunFacts.model_validate(facts(["K2-H4"])), {}, {}, {}, each)


def test_code_is_known_by_version_commit_and_lock():
    found = code_version()
    lock = Path(__file__).parents[2] / provenance._LOCK
    assert found.lock_sha256 == hashlib.sha256(lock.read_bytes()).hexdigest()


def test_sources_that_are_not_installed_have_no_version(monkeypatch):
    def unknown(name):
        raise provenance.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(provenance.metadata, "version", unknown)
    assert code_version().version is None


def test_outside_of_a_checkout_the_image_tells_its_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    monkeypatch.setattr(provenance.sys, "prefix", str(tmp_path))
    for told, commit in (("unknown", None), ("abc123", "abc123")):
        monkeypatch.setenv("YT8M_REVISION", told)
        found = code_version()
        assert (found.commit, found.lock_sha256) == (commit, None)
    (tmp_path / provenance._LOCK).write_bytes(b"x")
    assert code_version().lock_sha256 == hashlib.sha256(b"x").hexdigest()


def test_the_trainers_tags_are_those_that_are_read():
    from components.run_report.curves import TAGS
    from components.run_report.figures.training_curves import CURVES

    source = (Path(__file__).parents[2] / "trainer" / "training" / "training_log.py").read_text(
        encoding="utf-8"
    )
    assert set(TAGS) == set(CURVES)
    assert all(f'tf.summary.scalar("{tag}"' in source for tag in TAGS)
