import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow import entry_point
from pipeline.kubeflow.entry_point import main
from tests.components.report_samples import compression
from tests.pipeline.kubeflow.backend import Backend

pytestmark = pytest.mark.slow


@pytest.fixture
def backend(tmp_path) -> Backend:
    return Backend(tmp_path)


def recording(backend: Backend, **parameters: tuple[str, Any]) -> list[str]:
    examples = {
        "name": "17",
        "uri": "/never/read",
        "metadata": {
            "span": 3.0,
            "file_format": "tfrecords_gzip",
            "display_name": "examples",
            "payload_uri": "/data/examples",
        },
    }
    return backend.arguments(
        "Recorder",
        "tests.pipeline.recording_executor.Executor",
        parameters=parameters,
        inputs={"examples": ("tfx.Examples", examples)},
        outputs={"model": "tfx.Model", "model_run": "tfx.ModelRun"},
    )


def test_what_an_executor_gets_and_gives_back(backend) -> None:
    parameters = {
        "steps": ("NUMBER_INTEGER", 5.0),
        "rate": ("NUMBER_DOUBLE", 0.5),
        "schema": ("STRING", "installed:components.example_gen.schema/schema.pbtxt"),
    }
    assert main([*recording(backend, **parameters), "--further=1"]) == 0

    payload = f"{backend.root}/demo/run-1/Recorder/0af3/_payload"
    seen = json.loads(Path(payload, "model", "seen.json").read_text(encoding="utf-8"))
    schema = seen["exec_properties"].pop("schema")
    assert os.path.isfile(schema)
    temp = seen.pop("temp")
    assert temp.startswith(f"{backend.root}/demo/run-1/Recorder/0af3/_tmp/")
    assert not os.path.exists(os.path.dirname(temp.rstrip("/")))
    assert seen == {
        "inputs": {
            "examples": [
                {"type": "Examples", "uri": "/data/examples", "span": 3, "file_format": "tfrecords_gzip"}
            ]
        },
        "exec_properties": {"steps": 5, "rate": 0.5},
        "found": {"Model": [], "ModelRun": []},
        "arguments": ["--further=1"],
    }
    model, run = backend.uri("Recorder", "model"), backend.uri("Recorder", "model_run")
    version = backend.output("Recorder")["model"]["metadata"].pop("tfx_version")
    common = {"tfx_version": version}
    assert backend.output("Recorder") == {
        "model": {
            "name": "model",
            "uri": model,
            "metadata": {"step": 7.0, "payload_uri": f"{payload}/model", **common},
        },
        "model_run": {
            "name": "model_run",
            "uri": run,
            "metadata": {"payload_uri": f"{payload}/model_run", **common},
        },
    }
    # Nothing for the launcher to download.
    assert not os.path.exists(model)
    assert not os.path.exists(run)


def test_a_second_attempt_finds_the_training_state_and_nothing_else(backend, capsys) -> None:
    assert main(recording(backend, fail=("STRING", "disk full"))) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "yt8m: Recorder: RuntimeError: disk full (inputs: examples=/never/read; the trace is above)"
    )
    assert not backend.output_file("Recorder").exists()
    assert main(recording(backend)) == 0
    payload = backend.root / "demo/run-1/Recorder/0af3/_payload"
    seen = json.loads((payload / "model" / "seen.json").read_text(encoding="utf-8"))
    assert seen["found"] == {"Model": [], "ModelRun": ["state"]}
    assert (payload / "model_run" / "state").read_text(encoding="utf-8") == "xx"


def example_gen(backend: Backend, base: Path) -> list[str]:
    pattern = "span-{SPAN}/validate*.tfrecord"
    return backend.arguments(
        "YouTube8MExampleGen",
        "components.example_gen.executor.Executor",
        parameters={
            "input_base": ("STRING", str(base)),
            "input_config": ("STRING", json.dumps({"splits": [{"name": "validate-0", "pattern": pattern}]})),
            "output_config": ("STRING", "{}"),
            "output_data_format": ("NUMBER_INTEGER", 7.0),
            "eval_files": ("NUMBER_INTEGER", 1.0),
            "eval_share": ("NUMBER_DOUBLE", 0.5),
            "seed": ("NUMBER_INTEGER", 0.0),
            "max_reject_share": ("NUMBER_DOUBLE", 0.01),
            "max_lost_files": ("NUMBER_INTEGER", 0.0),
            "min_eval_videos": ("NUMBER_INTEGER", 1.0),
            "num_classes": ("NUMBER_INTEGER", 3862.0),
        },
        outputs={"examples": "tfx.Examples", "summaries": "tfx.Examples", "report": "yt8m.Report"},
    )


def test_an_input_whose_files_are_gone_is_named(backend, capsys) -> None:
    """TFX's own error has no text at all."""
    assert main(recording(backend, read=("STRING", "/data/examples/Split-train/0"))) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("yt8m: Recorder: the files of its input examples (/data/examples) are gone; ")
    assert "compile with another tag of the image" in last


def test_a_file_that_is_not_found_is_named(backend, capsys, monkeypatch) -> None:
    monkeypatch.setattr(entry_point, "_gone_inputs", lambda *_: None)  # as where the inputs are all there
    assert main(recording(backend, read=("STRING", "/data/examples/Split-train/0"))) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "/data/examples/Split-train/0" in last.partition(" (inputs: ")[0]


def test_example_gen_reads_the_newest_span_without_a_driver(backend) -> None:
    from trainer.data.sample import write_sample

    for span, videos in ((1, 6), (2, 8)):
        write_sample(
            str(backend.root / f"data/span-{span}"), train_videos=2, validate_videos=videos, shards=2, seed=0
        )
    beam = ["--runner=DirectRunner", "--direct_num_workers=1", "--direct_running_mode=in_memory",
            "--sdk_container_image=this-installation"]  # fmt: skip
    assert main([*example_gen(backend, backend.root / "data"), *beam]) == 0
    made = backend.output("YouTube8MExampleGen")
    assert {
        key: artifact["metadata"]["payload_uri"].rsplit("/", 2)[1:] for key, artifact in made.items()
    } == {key: ["_payload", key] for key in ("examples", "summaries", "report")}
    examples = made["examples"]["metadata"]
    assert (examples["span"], examples["split_names"]) == (2.0, '["train", "eval"]')
    assert examples["input_fingerprint"].startswith("split:validate-0,num_files:2,")
    report = json.loads(
        Path(made["report"]["metadata"]["payload_uri"], "report.json").read_text(encoding="utf-8")
    )
    assert (report["span"], report["splits"]["train"]["videos"] + report["splits"]["eval"]["videos"]) == (
        2,
        8,
    )


def test_baseline_hands_out_nothing_on_the_first_run_and_the_consumer_gets_none(backend) -> None:
    baseline = backend.arguments(
        "Baseline",
        "components.baseline.executor.Executor",
        parameters={
            "push_destination": ("STRING", str(backend.root / "models")),
            "run_id": ("STRING", "run-1"),
        },
        outputs={"model": "tfx.Model"},
    )
    assert main(baseline) == 0
    assert backend.output("Baseline") == {
        "model": {"name": "model", "uri": backend.uri("Baseline", "model"), "metadata": {"absent": 1}}
    }
    consumer = backend.arguments(
        "Recorder",
        "tests.pipeline.recording_executor.Executor",
        parameters={},
        inputs={"baseline_model": ("tfx.Model", {**backend.output("Baseline")["model"], "name": "9"})},
        outputs={"model": "tfx.Model", "model_run": "tfx.ModelRun"},
    )
    assert main(consumer) == 0
    seen = json.loads(
        (backend.root / "demo/run-1/Recorder/0af3/_payload/model/seen.json").read_text(encoding="utf-8")
    )
    assert seen["inputs"] == {"baseline_model": []}


def test_the_page_of_a_run_is_one_file_at_its_address_and_metrics_are_metadata(backend) -> None:
    data = backend.root / "compression"
    data.mkdir()
    content = compression("K2-H4", 2**21, 2**20, 0.25)
    (data / "report.json").write_text(json.dumps(content), encoding="utf-8")
    given = {"name": "7", "uri": "/never/read", "metadata": {"payload_uri": str(data)}}
    arguments = backend.arguments(
        "RunReport",
        "components.run_report.executor.Executor",
        parameters={
            "recipe": ("STRING", json.dumps({"name": "tiny", "variants": ["K2-H4"]})),
            "graph": ("STRING", json.dumps({"Pusher": [], "RunReport": ["Pusher"]})),
            "run_id": ("STRING", "run-1"),
            "names": ("STRING", '["K2-H4"]'),
        },
        inputs={"compression_000": ("yt8m.Report", given)},
        outputs={"report": "yt8m.Report", "page": "system.HTML", "metrics": "system.Metrics"},
    )
    assert main(arguments) == 0
    made = backend.output("RunReport")
    assert made["page"]["uri"] == backend.uri("RunReport", "page")
    assert "payload_uri" not in made["page"]["metadata"]
    page = Path(made["page"]["uri"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "K2-H4" in page
    numbers = made["metrics"]["metadata"]
    assert (numbers["gap_K2-H4"], numbers["mib_K2-H4"]) == (0.25, 1.0)
    assert main(arguments) == 0, "a second attempt writes over the first one's page"


def test_wrong_input_leaves_one_last_line_and_exit_code_2(backend) -> None:
    """As a process of its own, which is how a container runs it."""
    arguments = example_gen(backend, backend.root / "nowhere")
    process = subprocess.run(
        [sys.executable, "-m", "pipeline.kubeflow.entry_point", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2, process.stderr
    last = process.stderr.splitlines()[-1]
    assert last.startswith(f"yt8m: YouTube8MExampleGen: data below {backend.root}/nowhere: ")
    assert last.endswith("check the patterns and their {SPAN}")
    assert not backend.output_file("YouTube8MExampleGen").exists()


def test_a_full_disk_of_a_pod_is_named(tmp_path, monkeypatch, capsys) -> None:
    import tensorflow as tf

    def full(*_: Any) -> None:
        text = f"{tmp_path}/variables.data-00000-of-00001.tempstate1; No space left on device [Op:SaveV2]"
        raise tf.errors.ResourceExhaustedError(None, None, text)

    monkeypatch.setattr("pipeline.kubeflow.entry_point._run", full)
    arguments = ["--component_id", "Trainer.K2-H2", "--executor_class_path", "x"]
    specs = ["--json_serialized_invocation_args", "{}", "--json_serialized_inputs_spec_args", "{}"]
    assert main([*arguments, *specs]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("yt8m: Trainer.K2-H2: ResourceExhaustedError: ")
    assert "; make room on the full disk of " in line
