import socket
from pathlib import Path

import pytest

from pipeline.recipe.beam import BeamSection
from pipeline.recipe.loader import load_recipe
from trainer.base.errors import UserError

DATAFLOW = "beam={runner: DataflowRunner, project: p, region: europe-west4, temp_location: 'gs://bkt/tmp'}"
FLINK = "beam={runner: FlinkRunner, flink_master: 'flink-jobmanager:8081', parallelism: 8}"
BUCKET = {"train": ["gs://bkt/train*"], "validate": ["gs://bkt/validate*"]}


def test_direct_runner_uses_all_cores_and_in_a_pod_those_of_the_pod() -> None:
    section = load_recipe("yhls").beam
    assert section.pipeline_args == [
        "--runner=DirectRunner",
        "--direct_num_workers=0",
        "--direct_running_mode=multi_processing",
        "--sdk_container_image=this-installation",
    ]
    assert section.on_cluster("image:1", 4).pipeline_args[1] == "--direct_num_workers=4"
    assert BeamSection(workers=2).on_cluster("image:1", 4).pipeline_args[1] == "--direct_num_workers=2"


def test_dataflow() -> None:
    section = load_recipe(
        "yhls",
        [DATAFLOW, "beam.machine_type=n2-standard-8", "beam.max_workers=40", "beam.args=[--experiments=x]"],
        **BUCKET,
    ).beam
    assert section.on_cluster("image:1", 4).pipeline_args == [
        "--runner=DataflowRunner",
        "--project=p",
        "--region=europe-west4",
        "--temp_location=gs://bkt/tmp",
        "--sdk_container_image=image:1",
        "--worker_machine_type=n2-standard-8",
        "--max_num_workers=40",
        "--experiments=x",
    ]
    with pytest.raises(UserError, match=r"beam\.worker_image: DataflowRunner's workers need an image"):
        _ = section.pipeline_args


def test_any_portable_engine() -> None:
    section = BeamSection(runner="PortableRunner", job_endpoint="prism:8073", worker_pool="workers:50000")
    assert section.is_remote
    assert section.pipeline_args == [
        "--runner=PortableRunner",
        "--job_endpoint=prism:8073",
        "--job_server_timeout=86400",
        "--environment_type=EXTERNAL",
        "--environment_config=workers:50000",
        "--sdk_container_image=this-installation",
    ]
    in_docker = BeamSection(runner="PortableRunner", job_endpoint="prism:8073")
    assert in_docker.on_cluster("image:1", 4).pipeline_args[3:] == [
        "--environment_type=DOCKER",
        "--environment_config=image:1",
        "--sdk_container_image=image:1",
    ]
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        here = f"localhost:{listener.getsockname()[1]}"
        engine = BeamSection(runner="PortableRunner", job_endpoint=here)
        with pytest.raises(UserError, match=f"there is no job service at {here} "):
            engine.check_reachable()
        listener.listen()
        engine.check_reachable()
    BeamSection().check_reachable()
    with pytest.raises(UserError, match=r"beam\.worker_image: PortableRunner's workers need an image"):
        _ = in_docker.pipeline_args
    with pytest.raises(ValueError, match="runner PortableRunner needs job_endpoint"):
        BeamSection(runner="PortableRunner")
    with pytest.raises(ValueError, match="job_endpoint is for PortableRunner, but the runner is FlinkRunner"):
        BeamSection(runner="FlinkRunner", flink_master="h:1", job_endpoint="h:2")


def test_flink() -> None:
    section = load_recipe("yhls", [FLINK]).beam
    common = [
        "--runner=FlinkRunner",
        "--flink_master=flink-jobmanager:8081",
        "--flink_version=1.19",
        "--flink_submit_uber_jar",
        "--parallelism=8",
    ]
    assert section.on_cluster("image:1", 4).pipeline_args == [
        *common,
        "--environment_type=DOCKER",
        "--environment_config=image:1",
        "--sdk_container_image=image:1",
    ]
    pool = load_recipe("yhls", [FLINK, "beam.worker_pool=localhost:50000"]).beam
    assert pool.pipeline_args == [
        *common,
        "--environment_type=EXTERNAL",
        "--environment_config=localhost:50000",
        "--sdk_container_image=this-installation",
    ]


def test_beam_itself_understands_the_arguments() -> None:
    from apache_beam.options import pipeline_options as options

    sections = [load_recipe("yhls", [DATAFLOW], **BUCKET).beam, load_recipe("yhls", [FLINK]).beam]
    for section in (section.on_cluster("image:1", 4) for section in sections):
        parsed = options.PipelineOptions(section.pipeline_args)
        unknown = set(parsed.get_all_options(retain_unknown_options=True)) - set(parsed.get_all_options())
        assert unknown == set()
        assert parsed.view_as(options.StandardOptions).runner == section.runner
        assert parsed.view_as(options.WorkerOptions).sdk_container_image == "image:1"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("beam={runner: DataflowRunner}", "runner DataflowRunner needs project, region, temp_location"),
        ("beam={runner: DataflowRunner, project: p, region: r}", "needs temp_location"),
        ("beam={runner: FlinkRunner}", "runner FlinkRunner needs flink_master"),
        ("beam={runner: SparkRunner}", "beam.runner: input should be 'DirectRunner', 'DataflowRunner'"),
        ("beam.region=europe-west4", "region is for DataflowRunner, but the runner is DirectRunner"),
        (
            "beam.worker_image=i:1",
            "worker_image is for DataflowRunner and FlinkRunner and PortableRunner, but",
        ),
        (f"{FLINK[:-1]}, region: r}}", "region is for DataflowRunner, but the runner is FlinkRunner"),
        (DATAFLOW.replace("gs://bkt/tmp", "/tmp"), "beam.temp_location: "),
        (DATAFLOW, "data: Dataflow's workers read gs:// only, not yt8m/frame/train*.tfrecord"),
        ("beam={runner: FlinkRunner, flink_master: '[local]'}", "beam.flink_master: "),
    ],
)
def test_what_is_missing_or_in_the_wrong_place_is_one_line(override: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("yhls", [override])
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_here_refuses_dataflow_before_anything_is_read() -> None:
    from pipeline.cli.training.run import run_recipe

    with pytest.raises(UserError, match="yt8m compile"):
        run_recipe(load_recipe("yhls", [DATAFLOW], **BUCKET), "never")


def test_a_run_here_refuses_files_that_hold_no_records_before_anything_is_read(tmp_path: Path) -> None:
    from pipeline.cli.training.run import run_recipe

    for name, content in (
        ("README.txt", b"From Monday"),
        ("validate0", b""),
        ("validate1", b"x"),
        ("test0", b""),
    ):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(
        UserError,
        match=r"2 data file\(s\) are no TFRecord files, more than the 0 lost files allowed: "
        r".*README.txt \(a text file\), .*validate0 \(no bytes\); give a pattern without them",
    ):
        run_recipe(load_recipe("demo", train=[], validate=[f"{tmp_path}/*"]), "never")
