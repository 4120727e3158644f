import json

import pytest
from google.protobuf import json_format

from pipeline.rehearsal.artifacts import ArtifactStore, OutputError, merged_outputs, provision_outputs
from pipeline.rehearsal.compiled_file import CompiledFile
from pipeline.rehearsal.graph import read_tasks
from tests.pipeline.rehearsed import documents, step, write

ROOT = "/place/small/run"


@pytest.fixture
def tasks(tmp_path) -> dict:
    steps = {
        "Maker": step("", outputs=["model", "page"]),
        "User": step("", inputs={"given": "Maker.model"}),
    }
    spec, _ = documents(steps)
    return read_tasks(CompiledFile.read(write(tmp_path, spec)))


def output(key: str = "model", **artifact) -> str:
    return json.dumps({"artifacts": {key: {"artifacts": [artifact]}}})


def test_outputs_before_a_task_runs(tasks) -> None:
    found = provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid")
    assert {key: json_format.MessageToDict(artifact) for key, artifact in found.items()} == {
        **{
            key: {
                "name": key,
                "type": {"instanceSchema": "title: tfx.Model\n"},
                "uri": f"{ROOT}/Maker/uuid/{key}",
                "metadata": {},
            }
            for key in ("model", "page")
        },
        "executor-logs": {
            "name": "executor-logs",
            "type": {"schemaTitle": "system.Artifact"},
            "uri": f"{ROOT}/Maker/uuid/executor-logs",
            "metadata": {},
        },
    }


def test_what_a_task_made_and_the_next_one_gets(tasks) -> None:
    outputs = provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid")
    metadata = {"step": 7, "blessed": True, "splits": ["train"], "sizes": {"a": 1}, "payload_uri": "/p"}
    made = merged_outputs(outputs, output(name="ignored", metadata=metadata), ROOT)
    assert made.keys() == {"model", "page"}
    assert made["model"].uri == f"{ROOT}/Maker/uuid/model"
    store = ArtifactStore()
    for key, artifact in made.items():
        store.record("Maker", key, artifact)
    (given,) = store.inputs(tasks["User"])["given"].artifacts
    assert json_format.MessageToDict(given) == {
        "name": "1",
        "type": {"instanceSchema": ""},
        "uri": f"{ROOT}/Maker/uuid/model",
        "metadata": {
            "display_name": "model",
            "store_session_info": "{}",
            "step": 7.0,
            "blessed": 1.0,
            "splits": {"list": ["train"]},
            "sizes": {"struct": {"a": 1.0}},
            "payload_uri": "/p",
        },
    }


def test_a_container_that_says_nothing_has_its_outputs_where_they_were_to_be(tasks) -> None:
    outputs = provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid")
    assert merged_outputs(outputs, None, ROOT)["page"].uri == f"{ROOT}/Maker/uuid/page"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{", "not an ExecutorOutput"),
        ("[]", "not an ExecutorOutput"),
        ('{"artefacts": {}}', 'no field named "artefacts"'),
        (output(uri=f"{ROOT}-2/model"), "is not below the run's root"),
        (output(uri="gs://elsewhere/model"), "gs://elsewhere/model, is not below the run's root /place/small/run"),
    ],
)  # fmt: skip
def test_outputs_that_the_launcher_refuses(tasks, said: str, reason: str) -> None:
    outputs = provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid")
    with pytest.raises(OutputError, match=reason):
        merged_outputs(outputs, said, ROOT)


def test_a_null_has_no_place_in_the_store(tasks) -> None:
    outputs = provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid")
    made = merged_outputs(outputs, output(metadata={"version": None}), ROOT)
    with pytest.raises(OutputError, match="the metadata version are null"):
        ArtifactStore().record("Maker", "model", made["model"])
