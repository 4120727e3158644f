"""The compressor: a ladder of stored forms, each as it says, measured, and rounded by train videos alone."""

import numpy as np
import pytest

from components.compressor import compressor
from components.compressor.compressor import compress_ladder
from serving.export.card import ModelCard
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.stored_form import StoredForm
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.second_moments import second_moments
from trainer.model.model_spec import ModelSpec

SPEC = ModelSpec.parse("K3-H4", CLASSES)
LADDER = [
    StoredForm.parse(name)
    for name in ("float16", "int4-b32", "int8+gating_prob/weights=lowrank-r4-int8+experts/weights=float32")
]


@pytest.fixture
def source(tmp_path):
    directory = str(tmp_path / "source")
    member = Member(
        spec=SPEC, weights=weights_of("K3-H4", 1), gap=0.25, first_step=10, last_step=30, snapshots=3
    )
    write_saved_model(directory, [member])
    return directory


@pytest.fixture
def files(tmp_path):
    for split in ("eval", "train"):
        (tmp_path / split).mkdir()
    return eval_shards(tmp_path / "eval"), eval_shards(tmp_path / "train", videos=50)


def test_every_form_is_written_and_measured(tmp_path, source, files):
    eval_files, train_files = files
    report = compress_ladder(
        source, eval_files, train_files, LADDER, lambda index: str(tmp_path / f"form-{index}"), 40
    ).model_dump(mode="json")
    assert (report["variant"], report["videos"], report["calibration_videos"]) == ("K3-H4", 30, 40)
    assert report["float32_bytes"] == SPEC.float32_bytes
    assert [row["form"] for row in report["forms"]] == [form.name for form in LADDER]
    weights = weights_of("K3-H4", 1)
    statistics, _ = second_moments(SPEC, weights, eval_batches(train_files, 64, CLASSES, limit=40))
    scorer = Scorer(SPEC)
    for index, (form, row) in enumerate(zip(LADDER, report["forms"], strict=True)):
        directory = str(tmp_path / f"form-{index}")
        stored, expected = read_stored(directory), compress(SPEC, weights, form, statistics)
        for name, value in expected.items():
            assert stored[name].codec == value.codec
            for part, array in value.parts.items():
                np.testing.assert_array_equal(stored[name].parts[part], array)
        scorer.load({name: value.decode() for name, value in stored.items()})
        (member,) = ModelCard.load(directory).members
        assert member.gap == row["gap"] == evaluate(scorer, eval_files).gap
        assert member.bytes == row["bytes"] == stored_bytes(SPEC, form)
        assert (member.first_step, member.last_step, member.snapshots) == (10, 30, 3)
        assert row["rate"] == 1 - row["bytes"] / SPEC.float32_bytes


def test_calibration_sees_train_videos_only(tmp_path, source, files, monkeypatch):
    eval_files, train_files = files
    read = []
    monkeypatch.setattr(
        compressor,
        "eval_batches",
        lambda paths, *rest, **options: read.append(paths) or eval_batches(paths, *rest, **options),
    )
    compress_ladder(source, eval_files, train_files, LADDER[:1], lambda _: str(tmp_path / "one"), 10)
    assert read == [train_files]
    report = compress_ladder(source, eval_files, [], LADDER[:1], lambda _: str(tmp_path / "two"), 0)
    assert read == [train_files]
    assert report.calibration_videos == 0


def test_a_form_is_called_as_the_assembler_calls_it(tmp_path, files):
    """A form of the ladder may name tensors that this model does not have, or be written in another way."""
    directory = str(tmp_path / "source")
    write_saved_model(
        directory, [Member(spec=ModelSpec.parse("MLP-H4", CLASSES), weights=weights_of("MLP-H4", 1))]
    )
    ladder = [
        StoredForm.parse(name)
        for name in ("int8+gating/weights=int8", "float16+hidden/weights=int8+classes/weights=int8")
    ]
    report = compress_ladder(directory, *files, ladder, lambda index: str(tmp_path / f"form-{index}"), 0)
    assert [row.form for row in report.forms] == ["int8", "int8"]


def test_refuses_what_has_no_stored_form_and_writes_nothing(tmp_path, files):
    weights = weights_of("K3-H4", 1)
    weights["experts/weights"][2, 1] = 1e6
    write_saved_model(str(tmp_path / "big"), [Member(spec=SPEC, weights=weights)])
    with pytest.raises(UserError, match=r"experts/weights\[2, 1\] = 1e\+06 is beyond int4's"):
        compress_ladder(str(tmp_path / "big"), *files, LADDER[1:2], lambda _: str(tmp_path / "target"), 0)
    assert not (tmp_path / "target").exists()


def test_refuses_an_ensemble(tmp_path):
    member = Member(spec=SPEC, weights=weights_of("K3-H4", 1), weight=0.5)
    write_saved_model(str(tmp_path / "two"), [member, member])
    with pytest.raises(UserError, match="one of 2 members"):
        compress_ladder(str(tmp_path / "two"), [], [], LADDER, str)


@pytest.mark.slow
def test_executor_writes_a_ladder_that_the_assembler_reads(tmp_path, source, files):
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.types.channel import Channel

    from components.artifacts import Report
    from components.compressor.component import Compressor
    from components.compressor.executor import Executor
    from components.compressor.report import LadderReport
    from components.ladder import form_directories

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split in ("train", "eval"):
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        eval_shards(tmp_path / "examples" / f"Split-{split}")
    model = artifact(standard_artifacts.Model, "averaged")
    (tmp_path / "averaged").mkdir()
    (tmp_path / "source").rename(tmp_path / "averaged" / "Format-Serving")
    component = Compressor(
        model=Channel(type=standard_artifacts.Model),
        examples=Channel(type=standard_artifacts.Examples),
        ladder=[form.name for form in LADDER],
        calibration_videos=20,
    )
    outputs = {
        "model": [artifact(standard_artifacts.Model, "ladder")],
        "report": [artifact(Report, "report")],
    }
    Executor().Do({"float32_model": [model], "examples": [examples]}, outputs, component.exec_properties)
    directories = form_directories(outputs["model"][0].uri)
    assert [ModelCard.load(directory).bytes for directory in directories] == [
        stored_bytes(SPEC, form) for form in LADDER
    ]
    report = LadderReport.read(outputs["report"][0].uri)
    assert [row.form for row in report.forms] == [form.name for form in LADDER]
    assert form_directories(model.uri) == [f"{model.uri}/Format-Serving"]
