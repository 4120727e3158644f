"""What the server answers, to the letter of TensorFlow Serving."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.serving.api import pair, predict_request, states


def test_predict(stubs):
    response = stubs.prediction.Predict(predict_request(examples=[b"abc", b"x"]))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 1)
    assert response.model_spec.signature_name == "serving_default"
    assert set(response.outputs) == {"classes", "scores"}
    classes, scores = (tf.make_ndarray(response.outputs[alias]) for alias in ("classes", "scores"))
    np.testing.assert_array_equal(classes, [np.arange(20)] * 2)
    np.testing.assert_array_equal(scores, np.outer([3, 1], np.arange(30, 10, -1)))
    assert (classes.dtype, scores.dtype) == (np.int64, np.float32)


def test_predict_with_a_signature_a_version_and_an_output_filter(stubs):
    response = stubs.prediction.Predict(predict_request("add", ["y"], version=1, **pair()))
    assert list(response.outputs) == ["y"]
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [4, 6])


def malformed(**fields):
    return TensorProto(dtype=tf.float32.as_datatype_enum, **fields)


def two_by_huge():
    proto = malformed(float_val=[1.0])
    for size in (2, 2**60):
        proto.tensor_shape.dim.add(size=size)
    return proto


def unnamed(request):
    request.model_spec.name = ""
    return request


def labelled(request):
    request.model_spec.version_label = "canary"
    return request


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
        (unnamed(predict_request()), INVALID, "ModelSpec has no name specified."),
        (predict_request(model="n"), NOT_FOUND, "Servable not found for request: Latest(n)"),
        (predict_request(version=7), NOT_FOUND, "Servable not found for request: Specific(m, 7)"),
        (labelled(predict_request()), INVALID, "Unrecognized servable version label: canary"),
        (
            predict_request("s"),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "s" not found.',
        ),
        (
            predict_request("__saved_model_init_op"),
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of {tensorflow/serving/classify,"
            "tensorflow/serving/predict,tensorflow/serving/regress}. Was: ",
        ),
        (
            predict_request("add", a=np.float32([1])),
            INVALID,
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. "
            "Missing but required: {b}.",
        ),
        (
            predict_request("add", **pair(c=np.float32([1]))),
            INVALID,
            "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). Sent extra: {c}. "
            "Missing but required: {}.",
        ),
        (
            predict_request("add", a=np.float32([1]), c=np.float32([1])),
            INVALID,
            "Signature input alias: b(feed name: add_b:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {a,c}, or default input alias set: ",
        ),
        (
            predict_request("add", **pair(a=malformed(tensor_content=b"abc"))),
            INVALID,
            "tensor parsing error: a",
        ),
        (predict_request("add", **pair(b=two_by_huge())), INVALID, "tensor parsing error: b"),
        (
            predict_request("add", **pair(a=TensorProto())),
            INVALID,
            "tensor parsing error: a",
        ),
        (
            predict_request("add", **pair(a=np.float64([1, 2]))),
            INVALID,
            "Expects arg[0] to be float but double is provided",
        ),
        (
            predict_request("add", **pair(b=np.int64([1, 2]))),
            INVALID,
            "Expects arg[1] to be float but int64 is provided",
        ),
        (
            predict_request(examples=np.float32([1])),
            INVALID,
            "Expects arg[0] to be string but float is provided",
        ),
        (
            predict_request("add", ["z"], **pair()),
            INVALID,
            "output tensor alias not found in signature: z Outputs expected to be in the set {x,y}.",
        ),
        (predict_request("add", ["y", "y"], **pair()), INVALID, "duplicate output tensor alias: y"),
    ],
)
def test_predict_errors_are_those_of_tensorflow_serving(stubs, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)


def test_what_the_graph_refuses_is_an_invalid_argument_in_its_own_words(stubs):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(examples=[b"x", b""]))
    assert raised.value.code() == INVALID
    assert "assertion failed: [row] [1] [is empty]" in raised.value.details()


def test_shapes_are_the_graphs_business(stubs):
    square = np.float32([[1, 2], [3, 4]])
    response = stubs.prediction.Predict(predict_request("add", ["y"], a=square, b=square))
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), square * 2)


def test_long_messages_are_cut(stubs):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.Predict(predict_request(model="n" * 20_000))
    assert raised.value.code() == NOT_FOUND
    assert len(raised.value.details()) == 1024 + len("...TRUNCATED")


def metadata_request(*fields, name="m", spec=True):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec:
        request.model_spec.name = name
    return request


def test_model_metadata(stubs):
    response = stubs.prediction.GetModelMetadata(metadata_request("signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value) == ("m", 1)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "predictions", "add"} <= set(signatures.signature_def)
    assert set(signatures.signature_def["add"].inputs) == {"a", "b"}


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (metadata_request("signature_def", spec=False), INVALID, "Missing ModelSpec"),
        (
            metadata_request(),
            INVALID,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("signature_def", "f"), INVALID, "Metadata field f is not supported"),
        (
            metadata_request("signature_def", name="n"),
            NOT_FOUND,
            "Servable not found for request: Latest(n)",
        ),
        (metadata_request("signature_def", name=""), INVALID, "ModelSpec has no name specified."),
    ],
)
def test_model_metadata_errors(stubs, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.prediction.GetModelMetadata(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)


def test_model_status(stubs):
    assert states(stubs) == states(stubs, version=1) == [(1, "AVAILABLE")]
    for spec, text in [
        ({"version": 7}, "Could not find version 7 of model m"),
        ({"name": "n"}, "Could not find any versions of model n"),
        ({"name": "n", "version": 1}, "Could not find version 1 of model n"),
    ]:
        with pytest.raises(grpc.RpcError) as raised:
            states(stubs, **spec)
        assert (raised.value.code(), raised.value.details()) == (NOT_FOUND, text)
    with pytest.raises(grpc.RpcError) as raised:
        stubs.model.GetModelStatus(get_model_status_pb2.GetModelStatusRequest())
    assert (raised.value.code(), raised.value.details()) == (INVALID, "Missing ModelSpec")


def spec_request(kind, signature="", model="m"):
    request = kind()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


def inference_request(method="tensorflow/serving/classify", **spec):
    task = spec_request(inference_pb2.InferenceTask, **spec)
    task.method_name = method
    return inference_pb2.MultiInferenceRequest(tasks=[task])


CLASSIFICATION, REGRESSION = classification_pb2.ClassificationRequest, regression_pb2.RegressionRequest
WAS = ". Was: tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "request_", "code", "text"),
    [
        (
            "Classify",
            spec_request(CLASSIFICATION),
            INVALID,
            f"Expected classification signature method_name to be tensorflow/serving/classify{WAS}",
        ),
        (
            "Regress",
            spec_request(REGRESSION),
            INVALID,
            f"Expected regression signature method_name to be tensorflow/serving/regress{WAS}",
        ),
        ("Classify", CLASSIFICATION(), INVALID, "Missing ModelSpec"),
        ("Regress", spec_request(REGRESSION, "s"), INVALID, "No signature was found with the name: s"),
        (
            "Classify",
            spec_request(CLASSIFICATION, model="n"),
            NOT_FOUND,
            "Servable not found for request: Latest(n)",
        ),
        ("MultiInference", inference_pb2.MultiInferenceRequest(), INVALID, "Missing ModelSpec"),
        (
            "MultiInference",
            inference_request(),
            INVALID,
            f"Expected classification signature method_name to be tensorflow/serving/classify{WAS}",
        ),
        (
            "MultiInference",
            inference_request("tensorflow/serving/regress"),
            INVALID,
            f"Expected regression signature method_name to be tensorflow/serving/regress{WAS}",
        ),
        (
            "MultiInference",
            inference_request(signature="s"),
            INVALID,
            "Requested signature not found in model graph: s",
        ),
        (
            "MultiInference",
            inference_request("x"),
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: x",
        ),
    ],
)
def test_other_methods_say_that_the_signature_is_not_theirs(stubs, method, request_, code, text):
    with pytest.raises(grpc.RpcError) as raised:
        getattr(stubs.prediction, method)(request_)
    assert (raised.value.code(), raised.value.details()) == (code, text)
