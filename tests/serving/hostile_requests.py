"""Requests that no honest client sends: random and mutated messages, as bytes for any method of the server.

What is random comes from a seed, so that a request that breaks something can be made again.
"""

import random
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from tests.records import random_example, sequence_example
from tests.serving.api import predict_request

PREDICT = "/tensorflow.serving.PredictionService/Predict"
KINDS: dict[str, type[Message]] = {
    PREDICT: PredictRequest,
    "/tensorflow.serving.PredictionService/Classify": ClassificationRequest,
    "/tensorflow.serving.PredictionService/Regress": RegressionRequest,
    "/tensorflow.serving.PredictionService/MultiInference": MultiInferenceRequest,
    "/tensorflow.serving.PredictionService/GetModelMetadata": GetModelMetadataRequest,
    "/tensorflow.serving.ModelService/GetModelStatus": GetModelStatusRequest,
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest": GetModelStatusRequest,
    "/grpc.health.v1.Health/Check": HealthCheckRequest,
    "/tensorflow.serving.SessionService/SessionRun": PredictRequest,
}
"""Kind of request by method; the last one is not served."""

_NUMBERS = [
    0,
    1,
    2,
    3,
    33,
    127,
    128,
    255,
    256,
    1024,
    1152,
    2**15,
    2**20,
    2**28,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
]
_NUMBERS += [2**62, 2**63 - 1, -1, -2, -(2**31), -(2**63)]
_FLOATS = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 3.4e38, 1e-45]
_TEXTS = [
    "",
    "m",
    "yt8m",
    "serving_default",
    "predictions",
    "__saved_model_init_op",
    "signature_def",
    "classes",
]
_TEXTS += ["\x00", "\n", "%s%n", "../../etc/passwd", "é" * 700, "\U0001f600" * 2000, "x" * 20_000, "؜‮"]
_ALIASES = {
    ("yt8m", ""): ("examples",),
    ("yt8m", "predictions"): ("examples",),
    ("yt8m", "predict_frames"): ("audio", "num_frames", "rgb"),
    ("yt8m", "frame_predictions"): ("audio", "num_frames", "rgb"),
    ("m", "add"): ("a", "b"),
}


def good_requests() -> list[PredictRequest]:
    """One for each signature; two videos each."""
    generator = np.random.default_rng(0)
    examples = [random_example(generator, count) for count in (3, 1)]
    rgb, audio = (generator.integers(0, 256, (2, 3, size), np.uint8) for size in (1024, 128))
    frames = {"rgb": rgb, "audio": audio, "num_frames": np.int32([3, 2])}
    floats = np.float32([1, 2])
    return [
        predict_request("", model="yt8m", examples=examples),
        predict_request("predictions", model="yt8m", examples=examples),
        predict_request("predict_frames", model="yt8m", **frames),
        predict_request("frame_predictions", model="yt8m", **frames),
        predict_request("add", model="m", a=floats, b=floats),
    ]


def hostile_requests(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Methods and what is sent to them, of about a kilobyte."""
    make = _Maker(seed)
    for _ in range(count):
        yield make.request()


class _Maker:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._good = good_requests()
        self._kinds: list[Callable[[], tuple[str, bytes]]] = [
            self._damaged_bytes,
            self._other_tensors,
            self._other_tensors,
            self._damaged_examples,
            self._damaged_examples,
            self._other_names,
            self._other_methods,
            self._noise,
        ]

    def request(self) -> tuple[str, bytes]:
        return self._random.choice(self._kinds)()

    def _predict(self) -> PredictRequest:
        request = PredictRequest()
        request.CopyFrom(self._random.choice(self._good))
        return request

    def _damaged_bytes(self) -> tuple[str, bytes]:
        return PREDICT, self._damaged(self._predict().SerializeToString())

    def _other_tensors(self) -> tuple[str, bytes]:
        """One input, or all, replaced or with one field changed."""
        request = self._predict()
        aliases = sorted(request.inputs)
        for alias in aliases if self._random.random() < 0.3 else [self._random.choice(aliases)]:
            tensor = request.inputs[alias]
            match self._random.randrange(4):
                case 0:
                    tensor.CopyFrom(self._tensor())
                case 1:
                    del tensor.tensor_shape.dim[:]
                    self._set_shape(tensor)
                case 2:
                    tensor.dtype = self._dtype()
                case 3:
                    self._set_values(tensor)
        return PREDICT, request.SerializeToString()

    def _damaged_examples(self) -> tuple[str, bytes]:
        """Well-formed requests whose records are not."""
        request = self._predict()
        if "examples" in request.inputs:
            records = list(request.inputs["examples"].string_val)
            place = self._random.randrange(len(records))
            records[place] = self._record(records[place])
            request.inputs["examples"].CopyFrom(tf.make_tensor_proto(records, tf.string))
        return PREDICT, request.SerializeToString()

    def _other_names(self) -> tuple[str, bytes]:
        """Nonsense in the model spec, the inputs' names and the output filter."""
        request = self._predict()
        match self._random.randrange(4):
            case 0:
                self._set_spec(request.model_spec)
            case 1:
                request.output_filter.extend(self._text() for _ in range(self._random.randrange(5)))
            case 2:
                for _ in range(self._random.randrange(1, 6)):
                    request.inputs[self._text()].CopyFrom(self._tensor())
            case 3:
                del request.inputs[self._random.choice(sorted(request.inputs))]
        return PREDICT, request.SerializeToString()

    def _other_methods(self) -> tuple[str, bytes]:
        method = self._random.choice(sorted(KINDS))
        request = KINDS[method]()
        if self._random.random() < 0.9:
            spec = request.tasks.add() if isinstance(request, MultiInferenceRequest) else request
            if isinstance(request, HealthCheckRequest):
                request.service = self._text()
            else:
                self._set_spec(spec.model_spec)
        if isinstance(request, GetModelMetadataRequest):
            request.metadata_field.extend(self._text() for _ in range(self._random.randrange(3)))
        data = request.SerializeToString()
        return method, self._damaged(data) if data and self._random.random() < 0.3 else data

    def _noise(self) -> tuple[str, bytes]:
        return self._random.choice(sorted(KINDS)), self._random.randbytes(self._random.randrange(200))

    def _damaged(self, data: bytes) -> bytes:
        """Cut, with bytes changed, or with a part twice, or with more behind it."""
        first, last = sorted(self._random.randrange(len(data)) for _ in range(2))
        match self._random.randrange(4):
            case 0:
                return data[:first]
            case 1:
                changed = bytearray(data)
                for _ in range(self._random.randrange(1, 9)):
                    # Tags and lengths stand mostly in front.
                    place = self._random.randrange(min(len(data), self._random.choice((40, len(data)))))
                    changed[place] = self._random.randrange(256)
                return bytes(changed)
            case 2:
                return data[:last] + data[first:]
            case _:
                return data + self._random.choice((data, self._random.randbytes(20), b"\x0b" * 300))

    def _record(self, record: bytes) -> bytes:
        frame, sound = b"r" * 1024, b"a" * 128
        match self._random.randrange(6):
            case 0:
                return b""
            case 1:
                return sequence_example(
                    [frame] * self._random.randrange(3), [sound] * self._random.randrange(3)
                )
            case 2:
                size = self._random.choice((0, 1, 1023, 1025, 5000))
                return sequence_example([frame, b"r" * size], [sound, sound])
            case 3:
                return self._random.randbytes(self._random.randrange(300))
            case _:
                return self._damaged(record)

    def _set_spec(self, spec: Message) -> None:
        spec.name = self._random.choice(("m", "yt8m", self._text()))
        spec.signature_name = self._random.choice(("", "add", self._text()))
        match self._random.randrange(3):
            case 0:
                spec.version.value = self._random.choice(_NUMBERS)
            case 1:
                spec.version_label = self._text()

    def _text(self) -> str:
        return self._random.choice(_TEXTS)

    def _dtype(self) -> int:
        return self._random.choice((*range(32), 99, 101, 107, 120, 2**31 - 1, -1))

    def _tensor(self) -> TensorProto:
        tensor = TensorProto(dtype=self._dtype())
        self._set_shape(tensor)
        self._set_values(tensor)
        return tensor

    def _set_shape(self, tensor: TensorProto) -> None:
        rank = self._random.choice((0, 1, 1, 2, 3, 3, 4, 33, 255))
        sizes = [self._random.choice(_NUMBERS) for _ in range(rank)] if rank < 33 else [1] * rank
        for size in sizes:
            tensor.tensor_shape.dim.add(size=size, name=self._random.choice(("", self._text())))
        tensor.tensor_shape.unknown_rank = self._random.random() < 0.05

    def _set_values(self, tensor: TensorProto) -> None:
        count = self._random.randrange(4)
        match self._random.randrange(6):
            case 0:
                tensor.tensor_content = self._random.randbytes(self._random.randrange(40))
            case 1:
                tensor.float_val.extend(self._random.choices(_FLOATS, k=count))
            case 2:
                tensor.string_val.extend(self._random.randbytes(5) for _ in range(count))
            case 3:
                tensor.int_val.extend(
                    self._random.choices((0, 1, 255, 256, -1, 2**31 - 1, -(2**31)), k=count)
                )
            case 4:
                tensor.int64_val.extend(self._random.choices(_NUMBERS, k=count))
            case 5:
                tensor.resource_handle_val.add(device=self._text(), name=self._text())
                tensor.variant_val.add(type_name=self._text())
