"""The fingerprints are those that the backend computes: the first two constants are of its own tests.

Source: kubeflow/pipelines 2.17.0, backend/src/v2/cacheutils/cache_test.go, TestGenerateFingerPrint.
"""

import json
import math

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.rehearsal.cache import cache_key, fingerprint

MODEL = (
    "title: kfp.Model\ntype: object\nproperties:\n  framework:\n    type: string\n  framework_version:\n"
    "    type: string\n"
)
OUTPUTS = {
    "model": {"name": "model", "type": {"instanceSchema": MODEL}, "metadata": {"name": "model"}},
    "metrics": {"name": "metrics", "type": {"schemaTitle": "kfp.Metrics"}, "metadata": {"name": "metrics"}},
}
COMMAND = ("sh", "ec", "test")


def executor_input(**parameters) -> pipeline_spec_pb2.ExecutorInput:
    plain = {
        "inputs": {
            "artifacts": {
                "dataset_one": {"artifacts": [{"name": "1", "uri": "gs://b/one", "metadata": {"rows": 7}}]},
                "dataset_two": {"artifacts": [{"name": "2"}]},
            },
            "parameterValues": {"message": "Some string value", "num_steps": 5, **parameters},
        },
        "outputs": {
            "artifacts": {
                key: {"artifacts": [{**output, "uri": f"gs://b/{key}"}]} for key, output in OUTPUTS.items()
            },
            "outputFile": "/gcs/b/output_metadata.json",
        },
    }
    return json_format.ParseDict(plain, pipeline_spec_pb2.ExecutorInput())


def test_the_fingerprints_of_the_backends_own_tests() -> None:
    key = cache_key(executor_input(), "python:3.11", COMMAND, ())
    key["outputParametersSpec"] = {"output_parameter_one": "STRING", "output_parameter_two": "INT"}
    assert fingerprint(key) == "b498530c9016917298999ec0b01f364a180f8a3862bea0fa672a383ca3f22e4e"
    other = {
        "inputArtifactNames": {"dataset": {"artifactNames": ["10"]}},
        "outputParametersSpec": {"output_parameter": "DOUBLE"},
        "containerSpec": {"cmdArgs": ["sh", "ec", "run"], "image": "python:3.11"},
    }
    assert fingerprint(other) == "3d9a2a778fa3174c6cfc6e639c507c265b5f21ef6e5b1dd70b236462cc6da464"


def test_what_counts() -> None:
    known = {
        fingerprint(cache_key(made, image, command, claims))
        for made, image, command, claims in [
            (executor_input(), "python:3.11", COMMAND, ()),
            (executor_input(num_steps=6), "python:3.11", COMMAND, ()),
            (executor_input(), "python:3.12", COMMAND, ()),
            (executor_input(), "python:3.11", ("sh", "ec", "tests"), ()),
            (executor_input(), "python:3.11", COMMAND, ("data",)),
        ]
    }
    assert len(known) == 5


def test_what_does_not_count() -> None:
    moved = executor_input()
    moved.inputs.artifacts["dataset_one"].artifacts[0].uri = "gs://elsewhere"
    moved.outputs.artifacts["model"].artifacts[0].uri = "gs://elsewhere"
    moved.outputs.output_file = "/tmp/elsewhere"
    made = [cache_key(given, "i", COMMAND, ("b", "a")) for given in (executor_input(), moved)]
    assert made[0] == made[1]
    assert made[0] == cache_key(executor_input(), "i", COMMAND, ("a", "b", "a"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.0, "5"), (-0.5, "-0.5"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-10, "1.5e-10"), (0.0, "0"), (True, "true"), (None, "null"),
        ("a<b>&c", '"a\\u003cb\\u003e\\u0026c"'), ("é\u2028", '"é\\u2028"'),
        ({"b": [1.0], "a": {}}, '{"a":{},"b":[1]}'),
    ],
)  # fmt: skip
def test_values_as_go_writes_them(value, text: str) -> None:
    from pipeline.rehearsal.cache import _as_go_writes

    assert _as_go_writes(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(value: float) -> None:
    from pipeline.rehearsal.cache import _as_go_writes

    assert math.isclose(float(json.loads(_as_go_writes(value))), value, rel_tol=0, abs_tol=0)
