"""How the Evaluator reads and scores a video.

TFMA's own features extractor would hand the frames on as Arrow columns. Here the record goes to the model as one
string, and of its content only the labels and the slices become features.

Legend: B videos of a batch, L labels of the video with most.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import slices
from serving.store.whole_model import load_model
from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.data.manifest import spans_of
from trainer.data.records import Reject, valid_videos
from trainer.data.yt8m import ANY_CLASSES

LABELS = "labels"
BATCH_SIZE = 64
"""Videos that a model predicts at once: more would be too many frames for the memory."""


def extractors(shared_model: Any, config: config_pb2.EvalConfig) -> list[tfma.extractors.Extractor]:
    """Makes the steps from what `read_videos` yields to labels, slices and predictions."""
    return [
        tfma.extractors.LabelsExtractor(config),
        tfma.extractors.PredictionsExtractor(config, shared_model),
        tfma.extractors.Extractor(stage_name="DropRecords", ptransform=beam.Map(_without_records)),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=config, materialize=False),
    ]


def shared_model(directory: str, name: str, config: config_pb2.EvalConfig) -> Any:
    """Makes a model whose signatures take their input by position, as TFMA gives it.

    A loaded signature takes it by name. Given it by position, TensorFlow first builds an error message with
    the text of the whole batch in it, about 3 ms a video, before it tries what works.

    Args:
        directory: The SavedModel.
        name: Its name in the configuration.
        config: The Evaluator's configuration.
    """
    loader = tfma.types.ModelLoader(construct_fn=partial(_load, directory), tags=[tf.saved_model.SERVING])
    return tfma.default_eval_shared_model(
        eval_saved_model_path=directory,
        model_name=name,
        eval_config=config,
        custom_model_loader=loader,
    )


class _LoadedModel:
    """The signatures of a SavedModel, by name, which is all that TFMA looks at."""

    def __init__(self, model: Any) -> None:
        self._model = model  # its signatures do not keep it alive
        self.signatures = {name: _Positional(signature) for name, signature in model.signatures.items()}


class _Positional:
    structured_input_signature = None  # TFMA: the input is the serialised records

    def __init__(self, signature: Any) -> None:
        self._signature = signature

    def __call__(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._signature(examples=examples)


def _load(directory: str) -> _LoadedModel:
    return _LoadedModel(load_model(directory))


def read_videos(address: str) -> Iterator[tfma.Extracts]:
    """Reads a file in batches of at most 64 videos.

    Args:
        address: A TFRecord file, or an address in a manifest.

    Yields:
        Extracts with the inputs (records, object[B]) and the features labels (int64[B, L], padded with -1),
        num_labels, num_frames (object[B]: bins of `components.evaluator.slices`) and span (object[B]).

    Raises:
        UserError: The file is damaged, or has changed since it was checked.
    """
    (span,) = spans_of([address])
    for videos in batched(valid_videos([address], ANY_CLASSES, _refuse), BATCH_SIZE):
        width = max(len(video.labels) for video in videos)
        labels = np.full((len(videos), max(width, 1)), -1, np.int64)
        for row, video in zip(labels, videos, strict=True):
            row[: len(video.labels)] = video.labels
        yield {
            tfma.INPUT_KEY: np.array([video.sequence_example for video in videos], object),
            tfma.FEATURES_KEY: {
                LABELS: labels,
                slices.LABELS: np.array([slices.labels_bin(len(video.labels)) for video in videos], object),
                slices.FRAMES: np.array([slices.frames_bin(video.num_frames) for video in videos], object),
                slices.SPAN: np.array([str(span)] * len(videos), object),
            },
        }


def _refuse(reject: Reject) -> None:
    if reject.reason != "empty_file":  # a shard without a video is no damage here
        raise UserError(
            f"{reject.file}, byte {reject.offset}: {reject.reason} ({reject.detail}); write the file anew"
        )


def _without_records(extracts: tfma.Extracts) -> tfma.Extracts:
    return {key: value for key, value in extracts.items() if key != tfma.INPUT_KEY}
