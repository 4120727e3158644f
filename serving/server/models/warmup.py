"""Requests that a server runs before a version is available: slow first runs happen then, and a version that
cannot answer never becomes one.

The format is TensorFlow Serving's: a TFRecord file of PredictionLogs, of which it runs at most 1000.
"""

import posixpath

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.server.models.servable import Servable
from serving.server.predict_request import DEFAULT_SIGNATURE, find_signature, read_inputs, wanted_outputs
from serving.server.status import StatusError
from serving.server.tensors import to_proto
from trainer.base.errors import UserError
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.tfrecord import Damage, read_records
from trainer.data.yt8m import AUDIO_SIZE, MAX_FRAMES, RGB_SIZE

_PATH = ("assets.extra", "tf_serving_warmup_requests")

MAX_RECORDS = 1000

LARGEST_BATCH = 16
"""Videos of the largest request that is written: what servers of these models are configured for. A TensorFlow Serving
with a smaller max_batch_size would refuse it, and the version with it."""


class WarmupError(Exception):
    """A record cannot be run."""


def write_warmup(directory: str) -> None:
    """Adds two requests to a SavedModel: one video of one frame, and the largest batch with the longest video.

    Args:
        directory: Directory of the SavedModel, local or on a file system that TensorFlow knows.
    """
    path = posixpath.join(directory, *_PATH)
    tf.io.gfile.makedirs(posixpath.dirname(path))
    short, long = _video(1), _video(MAX_FRAMES)
    with tf.io.TFRecordWriter(path) as writer:
        for videos in ([short], [long] + [short] * (LARGEST_BATCH - 1)):
            request = PredictRequest()
            request.model_spec.name = "yt8m"
            request.model_spec.signature_name = DEFAULT_SIGNATURE
            request.inputs["examples"].CopyFrom(to_proto(np.array(videos, object)))
            log = PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def run_warmup(servable: Servable, directory: str) -> int:
    """Runs the warm-up requests of a version, if it has any.

    Args:
        servable: The loaded version.
        directory: Directory of the version's SavedModel.

    Returns:
        The number of requests that were run.

    Raises:
        WarmupError: If one is damaged, of another kind than Predict, refused or failed; it says which.
    """
    path = posixpath.join(directory, *_PATH)
    if not tf.io.gfile.exists(path):
        return 0
    count = 0
    for record in read_records(path):
        if count == MAX_RECORDS:
            raise WarmupError(f"there are more than {MAX_RECORDS} warm-up requests")
        try:
            if isinstance(record, Damage):
                raise WarmupError(record.detail)
            _run(servable, PredictionLog.FromString(record.data))
        except (WarmupError, StatusError, UserError, tf.errors.OpError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise WarmupError(f"warm-up request {count} fails: {reason}") from None
        count += 1
    return count


def _run(servable: Servable, log: PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise WarmupError(f"only a predict_log is run here. Received: {kind}")
    request = log.predict_log.request
    signature = find_signature(servable.signatures, request.model_spec.signature_name or DEFAULT_SIGNATURE)
    feeds = read_inputs(signature, request.inputs)
    outputs = wanted_outputs(signature, request.output_filter)
    servable.run(feeds, [signature.outputs[alias].name for alias in outputs])


def _video(frames: int) -> bytes:
    """Returns a valid record of grey frames."""
    rgb, audio = (np.full((frames, size), 128, np.uint8) for size in (RGB_SIZE, AUDIO_SIZE))
    return sequence_example(b"warm", (), encode_frames(rgb), encode_frames(audio))
