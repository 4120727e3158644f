"""TensorFlow Serving's REST API, called by requests."""

import base64
import re

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.server.http.rest_api import RestApi
from serving.server.models.servable import Servable
from serving.server.rpc import incoming_requests
from tests.serving.api import WAIT, Stubs, predict_request
from tests.serving.rest import PREDICT, get, post


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_rows(rest):
    status, answer = post(rest, PREDICT, {"instances": [b64(b"\xff\x00x"), b64(b"y")]})
    assert status == 200
    first, second = answer["predictions"]
    assert first["classes"][:3] == [0, 1, 2]
    assert (first["scores"][0], second["scores"][0]) == (90.0, 30.0)
    assert len(second["scores"]) == 20
    # One output: its rows alone. Named inputs, and another signature.
    rows = {"signature_name": "predictions", "instances": [{"examples": "ab"}, {"examples": b64(b"c")}]}
    status, answer = post(rest, PREDICT, rows)
    assert (status, [row[0] for row in answer["predictions"]]) == (200, [60.0, 30.0])


def test_columns(rest):
    body = {"signature_name": "add", "inputs": {"a": [1, 2.5], "b": [3, -1]}}
    assert post(rest, PREDICT, body) == (200, {"outputs": {"x": [1.0, 2.5], "y": [4.0, 1.5]}})
    body = {"signature_name": "predictions", "inputs": [b64(b"xx")]}
    status, answer = post(rest, PREDICT, body)
    assert (status, answer["outputs"][0][:2]) == (200, [60.0, 58.0])
    assert post(rest, PREDICT, {"signature_name": "spin", "inputs": 3}) == (200, {"outputs": 3})


def test_the_answers_are_those_of_grpc(rest):
    stubs = Stubs(rest.port)
    for signature, inputs in (
        ("predictions", {"examples": [b"abc", b"d"]}),
        ("serving_default", {"examples": [b"abc", b"d"]}),
        ("add", {"a": np.float32([0.1, 1e-7, 3e38]), "b": np.float32([0, 1, 3e38])}),
    ):
        response = stubs.prediction.Predict(predict_request(signature, **inputs), timeout=WAIT)
        by_grpc = {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}
        if "examples" in inputs:
            columns = {"examples": list(map(b64, inputs["examples"]))}
        else:
            columns = {alias: array.tolist() for alias, array in inputs.items()}
        status, answer = post(rest, PREDICT, {"signature_name": signature, "inputs": columns})
        assert status == 200
        outputs = answer["outputs"] if len(by_grpc) > 1 else {next(iter(by_grpc)): answer["outputs"]}
        assert outputs.keys() == by_grpc.keys()
        for alias, array in by_grpc.items():
            np.testing.assert_array_equal(np.array(outputs[alias], array.dtype), array)
    stubs.channel.close()


def test_versions_and_labels(rest):
    body = {"instances": ["x"]}
    for path in ("/versions/1", "/labels/stable"):
        assert post(rest, f"/v1/models/m{path}:predict", body)[0] == 200
    assert post(rest, "/V1/Models/%6D:predict", body)[0] == 200
    assert post(rest, "/v1/models/m/versions/7:predict", body) == (
        404,
        {"error": "Servable not found for request: Specific(m, 7)"},
    )
    assert post(rest, "/v1/models/m/labels/none:predict", body) == (
        400,
        {"error": "Unrecognized servable version label: none"},
    )
    assert post(rest, "/v1/models/n:predict", body) == (
        404,
        {"error": "Servable not found for request: Latest(n)"},
    )


def test_status_and_metadata(rest):
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/m", "/v1/models/m/versions/1"):
        assert get(rest, path) == (200, {"model_version_status": [state]})
    assert get(rest, "/v1/models/m/versions/7") == (404, {"error": "Could not find version 7 of model m"})
    assert get(rest, "/v1/models") == (400, {"error": "Missing model name in request."})
    status, answer = get(rest, "/v1/models/m/metadata")
    assert (status, answer["model_spec"]["name"], answer["model_spec"]["version"]) == (200, "m", "1")
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["examples"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["examples"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: .* at offset: 1"),
        ("[1]", r"JSON Value: \[1\] Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [], "instances": []}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": "x"}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": ["x"], "signature_name": 3}, "'signature_name' key must be a string value."),
        ({"instances": ["x"], "signature_name": "s"}, 'Serving signature name: "s" not found'),
        (
            {"instances": [3]},
            "element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 3 Type: Number is not of expected "
            "type: string",
        ),
        ({"instances": [{"b64": "?"}]}, "Unable to base64 decode"),
        ({"instances": ["x", ["y"]]}, r"Expecting shape \[\] but got: \[1\]"),
        ({"instances": ["x", {"examples": "y"}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [{"examples": "y"}, "x"]}, "Expecting object but got list at item 1"),
        ({"instances": [{"frames": "y"}]}, "does not have named input: frames"),
        (
            {"instances": [1], "signature_name": "add"},
            "instances is a plain list, but expecting list of objects",
        ),
        ({"instances": [{"a": 1}], "signature_name": "add"}, "keys must be equal to: a,b"),
        ({"inputs": [1], "signature_name": "add"}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"a": [1]}, "signature_name": "add"}, "Missing named input: b in 'inputs' object."),
        (
            {"inputs": {"a": [1, [2]], "b": [1, 2]}, "signature_name": "add"},
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            {"inputs": {"a": [[1, 2], [3]], "b": [1, 2]}, "signature_name": "add"},
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            {"inputs": {"a": [[1], 2], "b": [1, 2]}, "signature_name": "add"},
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            {"inputs": {"a": [True], "b": [1]}, "signature_name": "add"},
            "JSON Value: true Type: True is not of expected type: float",
        ),
        ({"inputs": 2**40, "signature_name": "spin"}, "JSON Value: 1099511627776 Type: Number is not of"),
        (
            {"inputs": 2.5, "signature_name": "spin"},
            "JSON Value: 2.5 Type: Number is not of expected type: int32",
        ),
        ("[" * 100_000, "JSON Parse error"),
        ('{"inputs": ' + "[" * 900 + "1" + "]" * 900 + "}", "more than 32 dimensions"),
        ('{"a": ' * 900 + "1" + "}" * 900, "Missing 'inputs' or 'instances' key"),
        ({"inputs": "x"}, r"input \w+ is a single value, and a tensor of 1 dimension\(s\) is needed"),
        ({"instances": ["x"] * 1025}, "Task size 1025 is larger than maximum input batch size 1024"),
        ({"instances": ["x", ""]}, r"\[row\] \[1\] \[is empty\]"),
    ],
)
def test_wrong_requests(rest, body, error):
    status, answer = post(rest, PREDICT, body)
    assert status == 400
    assert list(answer) == ["error"]
    assert re.search(error, answer["error"]), answer["error"]


def test_paths_that_are_none(rest):
    error = {"error": "Malformed request: POST /v1/models/m"}
    assert post(rest, "/v1/models/m", {}) == (400, error)
    assert get(rest, PREDICT) == (400, {"error": "Malformed request: GET /v1/models/m:predict"})
    assert get(rest, "/nothing")[0] == 404
    # Models of ours have no signatures for these.
    status, answer = post(rest, "/v1/models/m:classify", {"examples": [{}]})
    assert (status, "Expected classification signature" in answer["error"]) == (400, True)
    assert post(rest, "/v1/models/m:regress", {})[0] == 400


def test_what_fails_by_no_fault_of_the_client_is_not_told(rest, monkeypatch, caplog):
    def fail(self, feeds, fetches):
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(Servable, "run", fail)
    status, answer = post(rest, PREDICT, {"instances": ["x"]})
    assert status == 500
    assert "/secret" not in answer["error"]
    reference = answer["error"].rsplit(" ", 1)[1]
    assert reference in caplog.text
    assert "/secret/place" in caplog.text


def test_what_fails_outside_of_a_method_is_not_told_either(rest, stubs, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(RestApi, "answer", fail)
    monkeypatch.setattr(incoming_requests, "_parse", fail)
    status, answer = post(rest, PREDICT, {"instances": ["x"]})
    assert (status, "/secret" in answer["error"]) == (500, False)
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(examples=[b"x"]), timeout=WAIT)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "/secret" not in raised.value.details()
    for told in (answer["error"], raised.value.details()):
        assert told.rsplit(" ", 1)[1] in caplog.text
