"""The Open Inference Protocol, called by Triton's client over HTTP and gRPC, and by requests."""

import base64
import re
from pathlib import Path

import grpc
import jsonschema
import numpy as np
import pytest
import requests
import tritonclient.grpc
import tritonclient.http
import yaml
from google.protobuf.json_format import MessageToDict
from tritonclient.utils import InferenceServerException

from serving.base.oip_messages import MESSAGES, MODEL_INFER
from serving.base.tls import ServerTls
from serving.server.rpc.oip_grpc import _METHODS
from serving.server.server import PredictionServer, ServerOptions
from serving.store import model_store
from tests.serving.api import WAIT
from tests.serving.certificates import Authority

EXAMPLES = np.array([b"\xff\x00x", b"y"], object)
A, B = np.float32([1, 2.5]), np.float32([3, -1])


@pytest.fixture(scope="module")
def oip(models, tmp_path_factory):
    """A server of versions 1, labelled stable, and 2."""
    base = str(tmp_path_factory.mktemp("oip"))
    for model in models[:2]:
        model_store.publish(model, base)
    model_store.label(base, {"stable": 1})
    with PredictionServer(base, model_name="m", port=0, options=ServerOptions(http_port=0)) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def triton(request, oip):
    """The module of the client, and a client."""
    if request.param == "http":
        client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{oip.http_port}")
        yield tritonclient.http, client
    else:
        client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{oip.port}")
        yield tritonclient.grpc, client
    client.close()


def tensor(module, name, array, datatype, **options):
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **options)
    return made


def as_dict(metadata):
    if isinstance(metadata, dict):
        return metadata
    return MessageToDict(metadata, preserving_proto_field_name=True)


def test_health_and_metadata(triton):
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", "1")
    assert client.is_model_ready("m", "stable")
    assert not client.is_model_ready("m", "7")
    assert not client.is_model_ready("n")
    server = as_dict(client.get_server_metadata())
    assert server["name"] == "yt8m"
    assert server["extensions"] == ["binary_tensor_data"]
    model = as_dict(client.get_model_metadata("m"))
    assert (model["name"], model["versions"], model["platform"]) == ("m", ["1", "2"], "tensorflow_savedmodel")
    (example,) = model["inputs"]
    assert (example["name"], example["datatype"]) == ("examples", "BYTES")
    assert [int(length) for length in example["shape"]] == [-1]
    described = [(output["name"], output["datatype"]) for output in model["outputs"]]
    assert described == [("classes", "INT64"), ("scores", "FP32")]


@pytest.mark.parametrize(("version", "score"), [("", 180.0), ("1", 90.0), ("stable", 90.0)])
def test_bytes_tensors_and_versions(triton, version, score):
    module, client = triton
    inputs = [tensor(module, "examples", EXAMPLES, "BYTES")]
    answer = client.infer("m", inputs, model_version=version, request_id="7")
    assert answer.as_numpy("classes").dtype == np.int64
    assert answer.as_numpy("scores").shape == (2, 20)
    assert answer.as_numpy("scores")[0, 0] == score
    response = as_dict(answer.get_response())
    assert (response["id"], response["model_version"]) == ("7", "1" if version else "2")
    wanted = [module.InferRequestedOutput("scores")]
    answer = client.infer("m", inputs, model_version=version, outputs=wanted)
    assert answer.as_numpy("classes") is None
    assert answer.as_numpy("scores")[0, 0] == score


def test_another_signature_and_numbers(triton):
    module, client = triton
    inputs = [tensor(module, "a", A, "FP32"), tensor(module, "b", B, "FP32")]
    answer = client.infer("m", inputs, parameters={"signature_name": "add"})
    np.testing.assert_array_equal(answer.as_numpy("y"), A + B)


def test_json_alone(oip):
    module = tritonclient.http
    with module.InferenceServerClient(f"127.0.0.1:{oip.http_port}") as client:
        inputs = [tensor(module, "a", A, "FP32", binary_data=False), tensor(module, "b", B, "FP32")]
        outputs = [module.InferRequestedOutput("y", binary_data=False), module.InferRequestedOutput("x")]
        answer = client.infer("m", inputs, outputs=outputs, parameters={"signature_name": "add"})
        np.testing.assert_array_equal(answer.as_numpy("y"), A + B)
        np.testing.assert_array_equal(answer.as_numpy("x"), A)
        text = np.array(["xy"], object)
        inputs = [tensor(module, "examples", text, "BYTES", binary_data=False)]
        assert client.infer("m", inputs).as_numpy("scores")[0, 0] == 120


def infer(oip, body, path="/v2/models/m/infer", **options):
    answer = requests.post(f"http://127.0.0.1:{oip.http_port}{path}", json=body, timeout=WAIT, **options)
    return answer.status_code, answer.json()


def test_requests(oip):
    data = [base64.b64encode(each).decode() for each in EXAMPLES]
    examples = {"name": "examples", "datatype": "BYTES", "shape": [2], "data": data}
    examples["parameters"] = {"content_type": "base64"}
    status, answer = infer(oip, {"inputs": [examples], "outputs": [{"name": "scores"}]})
    assert status == 200
    (scores,) = answer["outputs"]
    assert (scores["shape"], scores["datatype"], scores["data"][0]) == ([2, 20], "FP32", 180.0)
    assert (answer["model_name"], answer["model_version"]) == ("m", "2")
    nested = [{"name": name, "datatype": "FP32", "shape": [2], "data": [1, 2.5]} for name in "ab"]
    body = {"inputs": nested, "parameters": {"signature_name": "add"}, "outputs": [{"name": "y"}]}
    assert infer(oip, body)[1]["outputs"][0]["data"] == [2.0, 5.0]


def values(**changed):
    return {"name": "a", "datatype": "FP32", "shape": [1], "data": [1.0], **changed}


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"inputs": []}, 400, "input size does not match signature"),
        ({"inputs": [values(), values()]}, 400, "input 'a' is there twice"),
        ({"inputs": "x"}, 400, "'inputs' is a list of objects"),
        ({"inputs": [values(datatype="FP7")]}, 400, "unknown datatype 'FP7'"),
        ({"inputs": [values(shape=[2])]}, 400, "Encountered list at unexpected size|elements"),
        ({"inputs": [values(shape=[-1])]}, 400, "has a shape that is none"),
        ({"inputs": [values(shape=[2**40, 2**40])]}, 400, "is too large"),
        ({"inputs": [values(shape=[1.5])]}, 400, "has no shape"),
        ({"inputs": [values(shape=[1] * 40)]}, 400, "has a shape that is none"),
        ({"inputs": [values(data="x")]}, 400, "has no data, a list"),
        ({"inputs": [values(data=["x"])]}, 400, "elements that are not FP32"),
        ({"inputs": [values(datatype="INT8", data=[300])]}, 400, "elements that are not INT8"),
        ({"inputs": [values(datatype="BYTES", data=[1])]}, 400, "elements that are not BYTES"),
        ({"inputs": [values(parameters={"binary_data_size": 9})]}, 400, "binary_data_size that the body"),
        ({"inputs": [values(datatype="FP64"), values(name="b")]}, 400, "Expects arg"),
        ({"outputs": [{"name": "z"}], "inputs": [values(), values(name="b")]}, 400, "alias not found"),
        ({"parameters": {"signature_name": "s"}}, 400, 'Serving signature key "s" not found'),
    ],
)
def test_wrong_requests(oip, changed, status, error):
    body = {"parameters": {"signature_name": "add"}, "inputs": [values(), values(name="b")], **changed}
    assert infer(oip, {**body, **changed})[0] == status
    assert re.search(error, infer(oip, body)[1]["error"])


def test_paths_that_are_none(oip):
    assert infer(oip, {"inputs": []}, "/v2/models/n/infer") == (
        404,
        {"error": "Servable not found for request: Latest(n)"},
    )
    assert infer(oip, {"inputs": []}, "/v2/models/m")[0] == 404
    assert infer(oip, {"inputs": []}, "/v2x")[0] == 404
    headers = {"Inference-Header-Content-Length": "99999"}
    assert infer(oip, {}, headers=headers)[0] == 400


def test_the_answers_are_those_of_the_protocol(oip):
    """Held against the protocol's own OpenAPI document (kserve/open-inference-protocol, Apache-2.0)."""
    document = yaml.safe_load((Path(__file__).parent / "protocols/open_inference_rest.yaml").read_text())

    def check(method, path, status, schema, body=None):
        url = f"http://127.0.0.1:{oip.http_port}{path}"
        answer = requests.request(method, url, json=body, timeout=WAIT)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/json"
        reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
        jsonschema.validate(answer.json(), reference)

    request = {"id": "42", "inputs": [values(name="examples", datatype="BYTES", data=["x"])]}
    jsonschema.validate(
        request, {"$ref": "#/components/schemas/inference_request", "components": document["components"]}
    )
    check("GET", "/v2/", 200, "metadata_server_response")
    for model in ("/v2/models/m", "/v2/models/m/versions/1"):
        assert requests.get(f"http://127.0.0.1:{oip.http_port}{model}/ready", timeout=WAIT).ok
        check("GET", model, 200, "metadata_model_response")
        check("POST", f"{model}/infer", 200, "inference_response", request)
        check("POST", f"{model}/infer", 400, "inference_error_response", {"inputs": []})
    check("GET", "/v2/models/n", 404, "metadata_model_error_response")
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert requests.get(f"http://127.0.0.1:{oip.http_port}{path}", timeout=WAIT).status_code == 200


def test_errors_of_triton(triton):
    module, client = triton
    with pytest.raises(InferenceServerException, match="input size does not match signature"):
        client.infer("m", [tensor(module, "a", A, "FP32"), tensor(module, "b", B, "FP32")])
    with pytest.raises(
        InferenceServerException, match=r"Expects arg\[0\] to be string but float is provided"
    ):
        client.infer("m", [tensor(module, "examples", A, "FP32")])
    with pytest.raises(InferenceServerException, match=r"Specific\(m, 7\)"):
        client.infer("m", [tensor(module, "examples", EXAMPLES, "BYTES")], model_version="7")


def test_typed_contents_over_grpc(oip):
    """What clients of KServe send: elements in fields of their type."""
    request = MESSAGES["ModelInferRequest"](model_name="m", id="x")
    request.parameters["signature_name"].string_param = "add"
    for name in "ab":
        request.inputs.add(name=name, datatype="FP32", shape=[2]).contents.fp32_contents.extend([1.5, 2])
    with grpc.insecure_channel(f"127.0.0.1:{oip.port}") as channel:
        method = channel.unary_unary(MODEL_INFER)
        response = MESSAGES["ModelInferResponse"].FromString(
            method(request.SerializeToString(), timeout=WAIT)
        )
        assert list(response.outputs[1].contents.fp32_contents) == [3.0, 4.0]
        assert not response.raw_output_contents
        for field, value in (("shape", 3), ("raw_input_contents", b"x")):
            wrong = MESSAGES["ModelInferRequest"]()
            wrong.CopyFrom(request)
            getattr(wrong.inputs[0] if field == "shape" else wrong, field).append(value)
            with pytest.raises(grpc.RpcError) as raised:
                method(wrong.SerializeToString(), timeout=WAIT)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_messages_are_those_of_the_protocol():
    """Held against the proto file that Triton's client is made of."""
    protocol = tritonclient.grpc.service_pb2.DESCRIPTOR

    def fields(message):
        return {
            field.name: (
                field.number,
                field.type,
                field.label,
                field.containing_oneof and field.containing_oneof.name,
                field.message_type and field.message_type.name,
            )
            for field in message.fields
        }

    theirs = {}

    def collect(messages):
        for message in messages:
            theirs[message.name] = fields(message)
            collect(message.nested_types)

    collect(protocol.message_types_by_name.values())
    for name, message in MESSAGES.items():
        assert fields(message.DESCRIPTOR) == theirs[name], name
    service = protocol.services_by_name["GRPCInferenceService"]
    for name in _METHODS:
        method = service.methods_by_name[name]
        assert (method.input_type.name, method.output_type.name) == (f"{name}Request", f"{name}Response")
        assert service.full_name == MODEL_INFER.split("/")[1]


def test_tls(base, tmp_path):
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("server")
    options = ServerOptions(tls=ServerTls(certificate=certificate, key=key), http_port=0)
    with PredictionServer(base, "m", port=0, options=options) as server:
        with tritonclient.grpc.InferenceServerClient(
            f"127.0.0.1:{server.port}", ssl=True, root_certificates=authority.ca
        ) as client:
            assert client.is_model_ready("m")
        with tritonclient.http.InferenceServerClient(
            f"127.0.0.1:{server.http_port}", ssl=True, ssl_options={"ca_certs": authority.ca}
        ) as client:
            assert client.is_model_ready("m")
