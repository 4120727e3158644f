"""Whatever a client sends over HTTP, it gets a status that blames it, and the server answers as before."""

import json
import random
import re

import pytest
import requests

from serving.server.server import PredictionServer, ServerOptions
from tests.serving.api import WAIT

REST = {"signature_name": "add", "instances": [{"a": 1.5, "b": 2}, {"a": 1e9, "b": -3}]}
COLUMNS = {"inputs": {"examples": [{"b64": "QUJD"}, "x"]}, "signature_name": "predictions"}
TENSOR = {"datatype": "FP32", "shape": [2], "data": [1.5, 2]}
OIP = {
    "id": "1",
    "parameters": {"signature_name": "add", "binary_data_output": True},
    "inputs": [{"name": "a", **TENSOR}, {"name": "b", **TENSOR, "parameters": {}}],
    "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
}
_HEAD = json.dumps(
    {
        "inputs": [
            {"name": "examples", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 13}}
        ]
    }
).encode()
_BINARY = _HEAD + b"\x03\0\0\0ABC\x02\0\0\0xy"

VALUES = (
    "null",
    "true",
    "-1",
    "1e999",
    "99999999999999999999",
    "[]",
    "{}",
    '""',
    '"\\u0000"',
    "[[[]]]",
    "NaN",
    "0.5",
    '{"b64":""}',
)
"""What stands in place of a value of a request."""


@pytest.fixture(scope="module")
def url(base):
    with PredictionServer(base, "m", port=0, options=ServerOptions(http_port=0)) as server:
        yield f"http://127.0.0.1:{server.http_port}"


def mutated(body, generator):
    """The body with other values, or with other bytes."""
    if generator.random() < 0.5:
        places = list(re.finditer(rb'-?\d[\d.e]*|"[^"]*"|\[[^\[\]]*\]|\{[^{}]*\}|true|false', body))
        place = generator.choice(places)
        return body[: place.start()] + generator.choice(VALUES).encode() + body[place.end() :]
    data = bytearray(body)
    for _ in range(generator.choice((1, 2, 5))):
        kind, index = generator.randrange(3), generator.randrange(len(data))
        if kind == 0:
            data[index] = generator.randrange(256)
        elif kind == 1:
            del data[index : index + generator.randrange(1, 9)]
        else:
            data[index:index] = bytes([generator.randrange(256)])
        data = data or bytearray(b"{")
    return bytes(data)


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/models/m:predict", json.dumps(REST).encode(), {}),
        ("/v1/models/m:predict", json.dumps(COLUMNS).encode(), {}),
        ("/v2/models/m/infer", json.dumps(OIP).encode(), {}),
        ("/v2/models/m/infer", _BINARY, {"Inference-Header-Content-Length": str(len(_HEAD))}),
    ],
)
def test_mutated_bodies(url, path, body, headers):
    generator = random.Random(path + str(len(body)))
    with requests.Session() as session:
        before = session.post(url + path, data=body, headers=headers, timeout=WAIT)
        assert before.status_code == 200
        statuses = set()
        for _ in range(250):
            wrong = mutated(body, generator)
            answer = session.post(url + path, data=wrong, headers=headers, timeout=WAIT)
            statuses.add(answer.status_code)
            assert answer.status_code in (200, 400, 404, 413), (wrong, answer.text)
            if answer.status_code != 200:
                assert list(answer.json()) == ["error"]
        assert 400 in statuses
        assert session.post(url + path, data=body, headers=headers, timeout=WAIT).content == before.content


def test_mutated_paths(url):
    generator = random.Random(0)
    with requests.Session() as session:
        for path in (
            "/v1/models/m/versions/3:predict",
            "/v2/models/m/versions/3/infer",
            "/v1/models/m/labels/a",
        ):
            for _ in range(60):
                wrong = list(path)
                for _ in range(generator.choice((1, 3))):
                    wrong[generator.randrange(1, len(wrong))] = generator.choice("/:%0a9é\\.. ?#")
                for method in ("GET", "POST", "DELETE"):
                    answer = session.request(method, url + "".join(wrong), data=b"{}", timeout=WAIT)
                    assert answer.status_code in (200, 400, 404, 405), (method, wrong)
