from copy import deepcopy

from pipeline.kubeflow.executor_messages import from_backend, schema_title, to_backend

ROOT = "gs://bucket/pipelines/demo/run-1/Evaluator/0af3"
MODEL = {"instanceSchema": "title: tfx.Model\n"}
SPEC = {
    "artifacts": {
        "examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\n"}},
        "baseline_model": {"artifactType": MODEL},
    },
    "parameters": {"limit_bytes": {"parameterType": "NUMBER_INTEGER"}},
}
# As the backend sends it: untyped inputs, numbers as doubles, its own additions to metadata and outputs.
GIVEN = {
    "inputs": {
        "parameterValues": {"limit_bytes": 1024.0},
        "artifacts": {
            "examples": {
                "artifacts": [
                    {
                        "name": "17",
                        "type": {"instanceSchema": ""},
                        "uri": "gs://bucket/pipelines/demo/run-1/ExampleGen/9c/examples",
                        "metadata": {
                            "display_name": "examples",
                            "store_session_info": "{}",
                            "span": 3.0,
                            "payload_uri": "gs://bucket/pipelines/demo/run-1/ExampleGen/9c/_payload/examples",
                        },
                    }
                ]
            },
            "baseline_model": {
                "artifacts": [
                    {
                        "name": "18",
                        "type": {"instanceSchema": ""},
                        "uri": "gs://bucket/pipelines/demo/run-1/Baseline/11/model",
                        "metadata": {"display_name": "model", "absent": 1.0},
                    }
                ]
            },
        },
    },
    "outputs": {
        "artifacts": {
            "blessing": {
                "artifacts": [
                    {
                        "name": "blessing",
                        "type": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"},
                        "uri": f"{ROOT}/blessing",
                        "metadata": {},
                    }
                ]
            },
            "page": {
                "artifacts": [{"type": {"schemaTitle": "system.HTML"}, "uri": f"{ROOT}/page", "metadata": {}}]
            },
            "executor-logs": {
                "artifacts": [
                    {
                        "type": {"schemaTitle": "system.Artifact"},
                        "uri": f"{ROOT}/executor-logs",
                        "metadata": {},
                    }
                ]
            },
        },
        "outputFile": "/tmp/kfp_outputs/output_metadata.json",
    },
}


def test_what_the_backend_sends_is_mended() -> None:
    before = deepcopy(GIVEN)
    task = from_backend(GIVEN, SPEC)
    assert before == GIVEN
    assert task.executor_input == {
        "inputs": {
            "parameterValues": {"limit_bytes": 1024.0},
            "artifacts": {
                "examples": {
                    "artifacts": [
                        {
                            "name": "17",
                            "type": {"instanceSchema": "title: tfx.Examples\n"},
                            "uri": "gs://bucket/pipelines/demo/run-1/ExampleGen/9c/_payload/examples",
                            "metadata": {"display_name": "examples", "store_session_info": "{}", "span": 3.0},
                        }
                    ]
                },
                "baseline_model": {"artifacts": []},
            },
        },
        "outputs": {
            "artifacts": {
                "blessing": {
                    "artifacts": [
                        {
                            "name": "blessing",
                            "type": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"},
                            "uri": f"{ROOT}/_payload/blessing",
                            "metadata": {},
                        }
                    ]
                },
                "page": {
                    "artifacts": [
                        {
                            "name": "page",
                            "type": {"schemaTitle": "system.HTML"},
                            "uri": f"{ROOT}/page",
                            "metadata": {},
                        }
                    ]
                },
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }
    assert task.output_uris == {"blessing": f"{ROOT}/blessing", "page": f"{ROOT}/page"}
    assert task.temp_uri == f"{ROOT}/_tmp"


def test_what_the_executor_made_goes_back_under_the_given_addresses() -> None:
    task = from_backend(GIVEN, SPEC)
    made = {
        "blessing": {"name": "blessing", "uri": f"{ROOT}/_payload/blessing", "metadata": {"blessed": 1.0}},
        "page": {"uri": f"{ROOT}/page"},
    }
    assert to_backend(made, task) == {
        "artifacts": {
            "blessing": {
                "artifacts": [
                    {
                        "name": "blessing",
                        "uri": f"{ROOT}/blessing",
                        "metadata": {"blessed": 1.0, "payload_uri": f"{ROOT}/_payload/blessing"},
                    }
                ]
            },
            "page": {"artifacts": [{"name": "page", "uri": f"{ROOT}/page", "metadata": {}}]},
        }
    }


def test_an_artifact_that_was_not_made_is_marked_and_not_handed_on() -> None:
    task = from_backend(GIVEN, SPEC)
    back = to_backend({"blessing": None}, task)
    assert back == {
        "artifacts": {
            "blessing": {
                "artifacts": [{"name": "blessing", "uri": f"{ROOT}/blessing", "metadata": {"absent": 1}}]
            }
        }
    }
    consumer = {"inputs": {"artifacts": {"model_blessing": back["artifacts"]["blessing"]}}}
    mended = from_backend(consumer, {})
    assert mended.executor_input == {"inputs": {"artifacts": {"model_blessing": {"artifacts": []}}}}
    assert mended.output_uris == {}
    assert mended.temp_uri is None


def test_titles() -> None:
    assert schema_title({"instanceSchema": ""}) == ""
    assert schema_title(MODEL) == "tfx.Model"
    assert schema_title({"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"}) == "system.Metrics"
