import json

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.rehearsal.artifacts import ArtifactStore, OutputError, merged_outputs, provision_outputs
from pipeline.rehearsal.backend import BACKENDS
from pipeline.rehearsal.compiled_file import CompiledFile
from pipeline.rehearsal.graph import read_tasks
from pipeline.rehearsal.metadata_store import MetadataStore
from tests.pipeline.rehearsed import documents, step, write
from trainer.base.errors import UserError

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


def store(tmp_path, root: str = "gs://bucket/root") -> ArtifactStore:
    return ArtifactStore(MetadataStore(str(tmp_path)), "small", root)


def provisioned(tasks, version: str = "2.17") -> dict:
    return provision_outputs(tasks["Maker"], f"{ROOT}/Maker/uuid", BACKENDS[version])


@pytest.mark.parametrize(("version", "named"), [("2.14", False), ("2.17", True)])
def test_outputs_before_a_task_runs(tasks, version: str, named: bool) -> None:
    found = provisioned(tasks, version)
    assert {key: json_format.MessageToDict(artifact) for key, artifact in found.items()} == {
        key: {
            **({"name": key} if named else {}),
            "type": {"schemaTitle": "system.Artifact"}
            if key == "executor-logs"
            else {"instanceSchema": "title: tfx.Model\n"},
            "uri": f"{ROOT}/Maker/uuid/{key}",
        }
        for key in ("model", "page", "executor-logs")
    }


def test_metadata_of_outputs_are_there_when_the_file_has_some(tmp_path) -> None:
    spec, _ = documents({"Maker": step("", outputs=["model"])})
    definition = {"artifactType": {"schemaTitle": "system.Model"}, "metadata": {"a": 1.0}}
    spec["components"]["Maker"]["outputDefinitions"]["artifacts"]["model"] = definition
    task = read_tasks(CompiledFile.read(write(tmp_path, spec)))["Maker"]
    made = provision_outputs(task, ROOT, BACKENDS["2.17"])
    assert json_format.MessageToDict(made["model"])["metadata"] == {"a": 1.0}


@pytest.mark.parametrize(
    ("root", "provider"), [("gs://bucket/root", "gs"), ("minio://mlpipeline/v2", "minio")]
)
def test_what_a_task_made_and_the_next_one_gets(tasks, tmp_path, root: str, provider: str) -> None:
    metadata = {"step": 7, "blessed": True, "splits": ["train"], "sizes": {"a": 1}, "payload_uri": "/p"}
    made = merged_outputs(provisioned(tasks), output(name="ignored", metadata=metadata), ROOT)
    assert made.keys() == {"model", "page", "executor-logs"}
    assert made["model"].uri == f"{ROOT}/Maker/uuid/model"
    artifacts = store(tmp_path, root)
    artifacts.record("Maker", made)
    (given,) = artifacts.inputs(tasks["User"])["given"].artifacts
    assert json_format.MessageToDict(given) == {
        "name": "1",
        "type": {"instanceSchema": ""},
        "uri": f"{ROOT}/Maker/uuid/model",
        "metadata": {
            "display_name": "model",
            "store_session_info": f'{{"Provider":"{provider}","Params":{{"fromEnv":"true"}}}}',
            "step": 7.0,
            "blessed": 1.0,
            "splits": {"list": ["train"]},
            "sizes": {"struct": {"a": 1.0}},
            "payload_uri": "/p",
        },
    }


def test_the_launchers_log_stays_where_the_launcher_put_it(tasks) -> None:
    made = merged_outputs(provisioned(tasks), output("executor-logs", uri=f"{ROOT}/elsewhere"), ROOT)
    assert made["executor-logs"].uri == f"{ROOT}/Maker/uuid/executor-logs"


def test_what_is_cached_is_found_by_later_runs_of_the_same_pipeline(tasks, tmp_path) -> None:
    made = merged_outputs(provisioned(tasks), output(metadata={"step": 7}), ROOT)
    first = store(tmp_path)
    first.record("Maker", made, "fingerprint")
    first.record("Maker", made)
    again = store(tmp_path)
    assert again.reuse("Maker", "another") is None
    reused = again.reuse("Maker", "fingerprint")
    assert reused.keys() == made.keys()
    (given,) = again.inputs(tasks["User"])["given"].artifacts
    # The same artifact, so that the next task is the same to the cache, too.
    assert (given.name, given.metadata["step"]) == ("1", 7.0)
    assert given.type == pipeline_spec_pb2.ArtifactTypeSchema(instance_schema="")
    other = ArtifactStore(MetadataStore(str(tmp_path)), "other", "gs://bucket/root")
    assert other.reuse("Maker", "fingerprint") is None


def test_a_store_that_is_none(tmp_path) -> None:
    (tmp_path / "_metadata.sqlite").write_text("x" * 5000)
    with pytest.raises(UserError, match=r"_metadata\.sqlite: .*delete it"):
        store(tmp_path)


def test_a_container_that_says_nothing_has_its_outputs_where_they_were_to_be(tasks) -> None:
    assert merged_outputs(provisioned(tasks), None, ROOT)["page"].uri == f"{ROOT}/Maker/uuid/page"


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
    outputs = provisioned(tasks)
    with pytest.raises(OutputError, match=reason):
        merged_outputs(outputs, said, ROOT)


def test_a_null_has_no_place_in_the_store(tasks, tmp_path) -> None:
    outputs = provisioned(tasks)
    made = merged_outputs(outputs, output(metadata={"version": None}), ROOT)
    with pytest.raises(OutputError, match="the metadata version are null"):
        store(tmp_path).record("Maker", made, "fingerprint")
    assert store(tmp_path).reuse("Maker", "fingerprint") is None
