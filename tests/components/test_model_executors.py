"""The averager's, compressor's and assembler's executors on TFX artifacts, one after the other."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tfx_types():
    from tfx.types import standard_artifacts

    return standard_artifacts


def test_from_snapshots_to_an_ensemble(tmp_path, tfx_types):
    from tfx.types import artifact_utils

    from components.artifacts import Report
    from components.checkpoint_averager.config import AveragingConfig
    from components.checkpoint_averager.executor import Executor as Averager
    from components.ensemble_assembler.executor import Executor as Assembler
    from components.fp16_compressor.executor import Executor as Compressor
    from components.report_file import read_report
    from serving.export.card import ModelCard
    from tests.components.tiny_models import eval_shards, weights_of
    from trainer.checkpoints.snapshots import write_snapshot

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    examples = artifact(tfx_types.Examples, "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval", "holdout"])
    (tmp_path / "examples" / "Split-eval").mkdir(parents=True)
    # Whoever chooses by the holdout falls over it: it cannot be read.
    (tmp_path / "examples" / "Split-holdout" / "data.tfrecord").mkdir(parents=True)
    eval_shards(tmp_path / "examples" / "Split-eval")

    compressed, reports = [], []

    def outputs(name):
        report = artifact(Report, f"{name}-report")
        reports.append(report)
        return {"model": [artifact(tfx_types.Model, name)], "report": [report]}

    for variant in ("K2-H3", "K3-H5"):
        run = artifact(tfx_types.ModelRun, f"run-{variant}")
        for step in (10, 20, 30):
            write_snapshot(f"{run.uri}/snapshots", step, weights_of(variant, step))
        averaged = outputs(f"averaged-{variant}")
        averaging = AveragingConfig(steps=[(10, 20)]).model_dump_json()
        Averager().Do({"model_run": [run], "examples": [examples]}, averaged, {"averaging": averaging})
        small = outputs(f"compressed-{variant}")
        inputs = {"float32_model": averaged["model"], "examples": [examples]}
        Compressor().Do(inputs, small, {"tolerance": 0.01})
        compressed += small["model"]
    ensemble = outputs("ensemble")
    models = {f"model_{index:03d}": [model] for index, model in enumerate(compressed)}
    Assembler().Do({**models, "examples": [examples]}, ensemble, {"limit_bytes": 2**20})

    card = ModelCard.load(f"{ensemble['model'][0].uri}/Format-Serving")
    found = [read_report(report.uri) for report in reports]
    assert [report.get("variant") for report in found] == ["K2-H3", "K2-H3", "K3-H5", "K3-H5", None]
    assert {"best", "best_single", "best_average", "candidates"} <= found[0].keys()
    assert {"gap_float32", "gap_stored", "rate"} <= found[1].keys()
    assert card.gap == found[-1]["ensembles"][0]["gap"]
    assert any(tensor.encoding == "float16" for tensor in card.members[0].tensors)


def test_without_eval_files_the_split_is_named(tmp_path, tfx_types):
    from tfx.types import artifact_utils

    from components.splits import split_files
    from trainer.base.errors import UserError

    examples = tfx_types.Examples()
    examples.uri = str(tmp_path)
    examples.split_names = artifact_utils.encode_split_names(["eval"])
    (tmp_path / "Split-eval").mkdir()
    with pytest.raises(UserError, match="split 'eval'"):
        split_files([examples], "eval")


def test_components_connect(tfx_types):
    from tfx.types.channel import Channel

    from components.checkpoint_averager.component import CheckpointAverager
    from components.checkpoint_averager.config import AveragingConfig
    from components.ensemble_assembler.component import EnsembleAssembler
    from components.fp16_compressor.component import Fp16Compressor

    examples = Channel(type=tfx_types.Examples)
    compressors = []
    for variant in ("K24-H1440", "K32-H1024"):
        averager = CheckpointAverager(
            model_run=Channel(type=tfx_types.ModelRun),
            examples=examples,
            averaging=AveragingConfig(fractions=[(0.5, 1.0)]),
        ).with_id(f"CheckpointAverager-{variant}")
        assert AveragingConfig.model_validate_json(averager.exec_properties["averaging"]).fractions == (
            (0.5, 1.0),
        )
        compressor = Fp16Compressor(model=averager.outputs["model"], examples=examples, tolerance=2e-4)
        assert compressor.exec_properties == {"tolerance": 2e-4}
        compressors.append(compressor.with_id(f"Fp16Compressor-{variant}"))
    for count in (1, 2):
        models = [compressor.outputs["model"] for compressor in compressors[:count]]
        assembler = EnsembleAssembler(models=models, examples=examples, limit_bytes=2**30)
        # One key a model: Kubeflow Pipelines takes one producer a key.
        assert {key: channel.producer_component_id for key, channel in assembler.inputs.items()} == {
            "examples": None,
            **{f"model_{index:03d}": compressors[index].id for index in range(count)},
        }
        assert set(assembler.outputs) == {"model", "report"}
