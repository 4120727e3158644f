"""TensorFlow Serving's REST API, as tests of the server call it."""

import json

import requests

from tests.serving.api import WAIT

PREDICT = "/v1/models/m:predict"


def post(server, path, body, **options):
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    answer = requests.post(f"http://127.0.0.1:{server.http_port}{path}", data=text, timeout=WAIT, **options)
    return answer.status_code, answer.json()


def get(server, path):
    answer = requests.get(f"http://127.0.0.1:{server.http_port}{path}", timeout=WAIT)
    return answer.status_code, answer.json()
