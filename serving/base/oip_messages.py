"""The messages of the Open Inference Protocol, version 2, over gRPC.

They have the fields and numbers of https://github.com/kserve/open-inference-protocol,
specification/protocol/open_inference_grpc.proto. Its messages within messages stand beside them here.
"""

from trainer.base.message_types import message_types

OIP_SERVICE = "inference.GRPCInferenceService"
"""Name of the service."""

MODEL_INFER = f"/{OIP_SERVICE}/ModelInfer"
"""Name of the method ModelInfer on the wire."""

_PARAMETERS = "map<string, InferParameter>"

MESSAGES = message_types(
    "yt8m.oip",
    {
        "ServerLiveRequest": {},
        "ServerLiveResponse": {"live": (1, "bool")},
        "ServerReadyRequest": {},
        "ServerReadyResponse": {"ready": (1, "bool")},
        "ModelReadyRequest": {"name": (1, "string"), "version": (2, "string")},
        "ModelReadyResponse": {"ready": (1, "bool")},
        "ServerMetadataRequest": {},
        "ServerMetadataResponse": {
            "name": (1, "string"),
            "version": (2, "string"),
            "extensions": (3, "repeated string"),
        },
        "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
        "TensorMetadata": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "repeated int64")},
        "ModelMetadataResponse": {
            "name": (1, "string"),
            "versions": (2, "repeated string"),
            "platform": (3, "string"),
            "inputs": (4, "repeated TensorMetadata"),
            "outputs": (5, "repeated TensorMetadata"),
        },
        "InferParameter": {
            "bool_param": (1, "bool"),
            "int64_param": (2, "int64"),
            "string_param": (3, "string"),
            "double_param": (4, "double"),
            "uint64_param": (5, "uint64"),
        },
        "InferTensorContents": {
            "bool_contents": (1, "repeated bool"),
            "int_contents": (2, "repeated int32"),
            "int64_contents": (3, "repeated int64"),
            "uint_contents": (4, "repeated uint32"),
            "uint64_contents": (5, "repeated uint64"),
            "fp32_contents": (6, "repeated float"),
            "fp64_contents": (7, "repeated double"),
            "bytes_contents": (8, "repeated bytes"),
        },
        "InferInputTensor": {
            "name": (1, "string"),
            "datatype": (2, "string"),
            "shape": (3, "repeated int64"),
            "parameters": (4, _PARAMETERS),
            "contents": (5, "InferTensorContents"),
        },
        "InferRequestedOutputTensor": {"name": (1, "string"), "parameters": (2, _PARAMETERS)},
        "ModelInferRequest": {
            "model_name": (1, "string"),
            "model_version": (2, "string"),
            "id": (3, "string"),
            "parameters": (4, _PARAMETERS),
            "inputs": (5, "repeated InferInputTensor"),
            "outputs": (6, "repeated InferRequestedOutputTensor"),
            "raw_input_contents": (7, "repeated bytes"),
        },
        "InferOutputTensor": {
            "name": (1, "string"),
            "datatype": (2, "string"),
            "shape": (3, "repeated int64"),
            "parameters": (4, _PARAMETERS),
            "contents": (5, "InferTensorContents"),
        },
        "ModelInferResponse": {
            "model_name": (1, "string"),
            "model_version": (2, "string"),
            "id": (3, "string"),
            "parameters": (4, _PARAMETERS),
            "outputs": (5, "repeated InferOutputTensor"),
            "raw_output_contents": (6, "repeated bytes"),
        },
    },
    oneofs={"InferParameter": "parameter_choice"},
)
"""The class of each message, by the message's name."""
