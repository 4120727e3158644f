"""YouTube8MExampleGen, StatisticsGen, ImportSchemaGen and ExampleValidator, run for real."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from components.example_gen.beam_steps import add_steps, read_results
from components.example_gen.convert import ShardTask
from pipeline.recipe.beam import BeamSection
from tests.records import sequence_example
from trainer.base.errors import UserError
from trainer.base.files import expand
from trainer.data.manifest import example_files, referenced
from trainer.data.records import Video, read_videos
from trainer.data.sample import write_sample
from trainer.data.tfrecord import write_tfrecords

pytestmark = pytest.mark.slow

IN_MEMORY = BeamSection(workers=1).pipeline_args
Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the steps and gives the root of the artifacts; the data lie in tmp_path."""
    from tfx.orchestration import metadata
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    from components.example_gen.component import YouTube8MExampleGen
    from components.example_validator.component import validation_steps

    def run(
        root: str = "root",
        beam: list[str] = IN_MEMORY,
        schema_file: str | None = None,
        validated: bool = False,
        **settings: Any,
    ) -> Path:
        generator = YouTube8MExampleGen(**settings)
        steps = validation_steps(generator.outputs["summaries"], schema_file) if validated else ()
        directory = tmp_path / root
        directory.mkdir(exist_ok=True)
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="data",
                pipeline_root=str(directory),
                components=[generator, *steps],
                enable_cache=True,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(
                    str(directory / "m.db")
                ),
                beam_pipeline_args=beam,
            )
        )
        return directory

    return run


def newest(root: Path, key: str) -> Path:
    return max((root / "YouTube8MExampleGen" / key).iterdir(), key=lambda path: int(path.name))


def ids(place: Path) -> list[bytes]:
    paths = example_files(expand([f"{place}/*"])) if place.is_dir() else [str(place)]
    items = [item for path in paths for item in read_videos(path)]
    # A shard of which nothing is left is an empty file.
    assert all(isinstance(item, Video) or item.reason == "empty_file" for item in items)
    return [item.id for item in items if isinstance(item, Video)]


def settings(data: Path, **more: Any) -> dict[str, Any]:
    return {
        "train": [f"{data}/train*.tfrecord"],
        "validate": [f"{data}/validate*.tfrecord"],
        "eval_share": 0.5,
        **more,
    }


def damage(path: Path) -> None:
    """Makes the first record's data differ from their checksum."""
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def test_from_files_to_validated_splits(run: Run, tiny_sample: Path, tmp_path: Path) -> None:
    import tensorflow_data_validation as tfdv
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    data = tmp_path / "data"
    shutil.copytree(tiny_sample, data)
    damage(data / "train0000.tfrecord")
    root = run(validated=True, **settings(data))

    report = json.loads((newest(root, "report") / "report.json").read_text())
    assert report["splits"]["train"]["files"] == 6
    assert report["splits"]["train"]["videos"] == 120 + 40 - 1
    assert (report["splits"]["eval"]["files"], report["splits"]["eval"]["videos"]) == (2, 40)
    assert report["rejected"] == {"crc_mismatch": 1}
    assert report["share"] == 1 / 200
    (reject,) = (newest(root, "report") / "rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["file"] == str(data / "train0000.tfrecord")
    assert json.loads(reject)["offset"] == 0

    train, evaluation = (newest(root, "examples") / f"Split-{name}" for name in ("train", "eval"))
    assert [path.name for path in train.iterdir()] == ["manifest.jsonl"]
    files = [referenced(address) for address in example_files([str(train / "manifest.jsonl")])]
    assert [file.videos for file in files] == [29, 30, 30, 30, 20, 20]
    assert (files[0].file, files[0].skipped) == (str(data / "train0000.tfrecord"), (0,))
    assert files[0].crc32c == f"{google_crc32c.value((data / 'train0000.tfrecord').read_bytes()):08x}"
    assert len(ids(train)) == 159
    assert len(ids(evaluation)) == 40
    assert all(name.startswith(b"v") for name in ids(evaluation))
    assert not set(ids(train)) & set(ids(evaluation))
    assert sorted(path.name for path in newest(root, "examples").iterdir()) == ["Split-eval", "Split-train"]
    assert sorted(path.name for path in newest(root, "report").iterdir()) == [
        "distributions.json",
        "rejects.jsonl",
        "report.json",
    ]

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(root / "m.db")
    store = metadata_store.MetadataStore(config)
    by_uri = {artifact.uri: artifact for artifact in store.get_artifacts_by_type("Examples")}
    for key, payload in (
        ("examples", "FORMAT_TF_SEQUENCE_EXAMPLE"),
        ("summaries", "FORMAT_TF_EXAMPLE"),
    ):
        artifact = by_uri[str(newest(root, key))]
        assert artifact.properties["split_names"].string_value == '["train", "eval"]'
        assert artifact.custom_properties["payload_format"].string_value == payload

    for name, videos in (("train", 159), ("eval", 40)):
        (path,) = root.glob(f"StatisticsGen/statistics/*/Split-{name}/FeatureStats.pb")
        (statistics,) = tfdv.load_stats_binary(str(path)).datasets
        assert statistics.num_examples == videos
        assert {feature.path.step[0] for feature in statistics.features} == {"id", "labels", "num_frames"}
    assert len(list(root.glob("ExampleValidator/anomalies/*/Split-*/SchemaDiff.pb"))) == 2

    executions = len(store.get_executions())
    run(validated=True, **settings(data))
    assert len(list((root / "YouTube8MExampleGen" / "examples").iterdir())) == 1, "not taken from the cache"
    assert len(store.get_executions()) > executions
    shutil.copy(tiny_sample / "train0000.tfrecord", data / "train0000.tfrecord")
    run(**settings(data))
    assert len(ids(newest(root, "examples") / "Split-train")) == 160


@pytest.mark.parametrize("named", [False, True])
def test_the_holdout_is_a_split_of_its_own(run: Run, tiny_sample: Path, tmp_path: Path, named: bool) -> None:
    held = [f"{tiny_sample}/validate0002.tfrecord"] if named else 1
    root = run(validated=named, **settings(tiny_sample, holdout_files=held))
    report = json.loads((newest(root, "report") / "report.json").read_text())
    assert {name: counts["files"] for name, counts in report["splits"].items()} == {
        "train": 5, "eval": 2, "holdout": 1
    }  # fmt: skip
    splits = {name: ids(newest(root, "examples") / f"Split-{name}") for name in ("train", "eval", "holdout")}
    assert {name: len(found) for name, found in splits.items()} == {"train": 140, "eval": 40, "holdout": 20}
    assert len({one for found in splits.values() for one in found}) == 200
    if named:
        assert splits["holdout"] == ids(tiny_sample / "validate0002.tfrecord")
        assert len(list(root.glob("ExampleValidator/anomalies/*/Split-*/SchemaDiff.pb"))) == 3
        assert len(list(root.glob("StatisticsGen/statistics/*/Split-holdout/FeatureStats.pb"))) == 1


def test_an_anomaly_stops_the_run_with_its_text(run: Run, tiny_sample: Path, tmp_path: Path) -> None:
    from components.example_validator.component import installed_schema

    schema = tmp_path / "schema.pbtxt"
    schema.write_text(Path(installed_schema()).read_text().replace("min: 0", "min: 20"))
    with pytest.raises(
        UserError, match=r"train split, feature labels: .*Unexpectedly small value.*eval split"
    ):
        run(validated=True, schema_file=str(schema), **settings(tiny_sample))


def test_too_many_rejects_stop_the_run_and_are_kept(run: Run, tiny_sample: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_sample, data)
    for shard in range(3):
        damage(data / f"train{shard:04d}.tfrecord")
    (data / "train0003.tfrecord").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"train0003\.tfrecord \(empty_file\)\. With them about 33 of 200 videos \(16\.50%\)"
    ):
        run(**settings(data))
    with pytest.raises(
        UserError, match=r"about 33 of 200 videos \(16\.50%\).*30 empty_file, 3 crc_mismatch"
    ) as raised:
        run("second", max_lost_files=1, **settings(data))
    (kept,) = tmp_path.glob("second/YouTube8MExampleGen/report/*-failed/rejects.jsonl")
    assert str(kept) in str(raised.value)
    assert len(kept.read_text().splitlines()) == 4


def test_a_directory_with_everything_in_it_trains_and_evaluates_on_each_labelled_video_once(
    run: Run, tiny_sample: Path, tmp_path: Path
) -> None:
    """Test files, a file without labels under another name, and a copy that is drawn for the other split."""
    data = tmp_path / "mixed"
    shutil.copytree(tiny_sample, data)
    unlabelled = [sequence_example([bytes(1024)], [bytes(128)], (), b"u%d" % number) for number in range(9)]
    for name in ("test0000.tfrecord", "test0001.tfrecord", "validate0009.tfrecord"):
        write_tfrecords(str(data / name), unlabelled)
    shutil.copy(data / "validate0000.tfrecord", data / "validate0010.tfrecord")
    with pytest.raises(UserError, match=r"is a copy of .*validate0000\.tfrecord"):
        run(train=[], validate=[f"{data}/*"], eval_share=0.4)
    root = run("second", train=[], validate=[f"{data}/*"], eval_share=0.4, max_reject_share=0.2)

    report = json.loads((newest(root, "report") / "report.json").read_text())
    train, evaluation = (ids(newest(root, "examples") / f"Split-{name}") for name in ("train", "eval"))
    assert len(train + evaluation) == len(set(train + evaluation)) == 200
    assert not any(one.startswith(b"u") for one in train + evaluation)
    splits = report["splits"]
    assert [splits["train"]["videos"], splits["eval"]["videos"]] == [len(train), len(evaluation)]
    assert report["left_out_files"] == [str(data / f"test000{number}.tfrecord") for number in range(2)]
    assert report["unlabelled_videos"] == 9
    assert report["rejected"] == {"duplicate_id": 20}
    assert report["copies"] == {str(data / "validate0010.tfrecord"): str(data / "validate0000.tfrecord")}
    lines = [json.loads(line) for line in (newest(root, "report") / "rejects.jsonl").read_text().splitlines()]
    assert {line["reason"]: line["lost_records"] for line in lines} == {"duplicate_id": 20, "no_labels": 9}


def test_the_newest_span_is_read_or_the_one_asked_for(run: Run, tmp_path: Path) -> None:
    for span in (2, 10):
        write_sample(
            str(tmp_path / "data" / f"span-{span}"), train_videos=4, validate_videos=4, shards=2, seed=span
        )
    patterns = {
        "train": [f"{tmp_path}/data/span-{{SPAN}}/train*"],
        "validate": [f"{tmp_path}/data/span-{{SPAN}}/validate*"],
    }
    root = run(**patterns, min_eval_videos=2)
    assert json.loads((newest(root, "report") / "report.json").read_text())["span"] == 10
    written = ids(tmp_path / "data" / "span-10")
    examples = [ids(newest(root, "examples") / f"Split-{name}") for name in ("train", "eval")]
    assert sorted(examples[0] + examples[1]) == sorted(written)
    root = run(**patterns, span=2, min_eval_videos=2)
    assert json.loads((newest(root, "report") / "report.json").read_text())["span"] == 2
    with pytest.raises(UserError, match=r"span-\{SPAN\}"):
        run(**patterns, span=3)


def test_the_bytes_do_not_depend_on_the_workers(tiny_sample: Path, tmp_path: Path) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    data = tmp_path / "data"
    shutil.copytree(tiny_sample, data)
    # A copy, which is the first in the order of the paths, and a file with some videos of others and of its own.
    shutil.copy(data / "validate0002.tfrecord", data / "copy.tfrecord")
    mixed = [one.sequence_example for name in ("train0001", "train0001", "validate0003")
             for one in list(read_videos(str(data / f"{name}.tfrecord")))[:5]]  # fmt: skip
    own = [sequence_example([bytes(1024)], [bytes(128)], (1,), b"own%d" % number) for number in range(3)]
    write_tfrecords(str(data / "validate0001a.tfrecord"), [*own, *mixed, own[1]])
    paths = expand([f"{data}/*"])

    def convert(root: Path, arguments: list[str], order: int) -> dict[str, bytes]:
        tasks = [
            ShardTask(
                path=path,
                split="train",
                index=index,
                count=len(paths),
                examples_uri=str(root / "examples"),
                summaries_uri=str(root / "summaries"),
                staging_uri=str(root / "staging"),
                checks_uri=str(root / "checks"),
                copy=True,
                num_classes=3862,
            )
            for index, path in enumerate(paths)
        ]
        root.mkdir()
        with beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", *arguments])) as pipeline:
            add_steps(pipeline, tasks[::order], str(root / "results.json"))
        results = read_results(str(root / "results.json"))
        assert [result.index for result in results] == list(range(10))
        left_out = {
            Path(paths[result.index]).name: result.duplicates for result in results if result.duplicates
        }
        assert left_out == {
            "validate0002.tfrecord": 20,
            "validate0001a.tfrecord": 11,
            "validate0003.tfrecord": 5,
        }
        assert {result.copy_of for result in results} == {None, str(data / "copy.tfrecord")}
        read = ids(root / "examples" / "Split-train")
        assert len(read) == len(set(read)) == 203
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("data_*")}

    first = convert(tmp_path / "one", IN_MEMORY, 1)
    second = convert(
        tmp_path / "two", ["--direct_num_workers=2", "--direct_running_mode=multi_processing"], -1
    )
    assert len(first) == 20
    assert first == second


def test_no_match_is_the_users_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file matches .*/nothing\*"):
        run(train=[], validate=[f"{tmp_path}/nothing*"])
