"""How the Evaluator reads and scores a video: TFX finds the two `custom_...` functions by its `module_path`.

TFMA's own features extractor would hand the frames on as Arrow columns. Here the record goes to the model as
it stands, and of its content only the labels and the two slices become features.

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
from trainer.data.records import parse_video
from trainer.data.yt8m import ANY_CLASSES

LABELS = "labels"
BATCH_SIZE = 64
"""Videos that a model predicts at once; TFX's batches are up to 1,000, too many frames for the memory."""


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any = None
) -> list[tfma.extractors.Extractor]:
    """Records to labels, slices and predictions (tfx.components.Evaluator, module_path)."""
    del tensor_adapter_config  # of Arrow columns, which are not used
    return [
        tfma.extractors.Extractor(
            stage_name="ExtractVideos", ptransform=beam.FlatMap(videos_from_arrow).with_output_types(dict)
        ),
        tfma.extractors.LabelsExtractor(eval_config),
        tfma.extractors.PredictionsExtractor(eval_config, eval_shared_model),
        tfma.extractors.Extractor(stage_name="DropRecords", ptransform=beam.Map(_without_records)),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]


def custom_eval_shared_model(
    eval_saved_model_path: str, model_name: str, eval_config: config_pb2.EvalConfig, **kwargs: Any
) -> Any:
    """A model whose signatures take their input by position, as TFMA gives it.

    A loaded signature takes it by name. Given it by position, TensorFlow first builds an error message with
    the text of the whole batch in it, about 3 ms a video, before it tries what works.
    """
    loader = tfma.types.ModelLoader(
        construct_fn=partial(_load, eval_saved_model_path), tags=[tf.saved_model.SERVING]
    )
    return tfma.default_eval_shared_model(
        eval_saved_model_path=eval_saved_model_path,
        model_name=model_name,
        eval_config=eval_config,
        custom_model_loader=loader,
        **kwargs,
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


def videos_from_arrow(extracts: tfma.Extracts) -> Iterator[tfma.Extracts]:
    """A batch of TFXIO, of whatever size, in batches of at most 64.

    Yields:
        Extracts with the inputs (records, object[B]) and the features labels (int64[B, L], padded with -1),
        num_labels and num_frames (object[B]: bins of `components.evaluator.slices`).
    """
    column = extracts[tfma.ARROW_RECORD_BATCH_KEY].column(tfma.constants.ARROW_INPUT_COLUMN).flatten()
    for start in range(0, len(column), BATCH_SIZE):
        records = column.slice(start, BATCH_SIZE).to_pylist()
        videos = [parse_video(record, ANY_CLASSES) for record in records]
        width = max(len(video.labels) for video in videos)
        labels = np.full((len(videos), max(width, 1)), -1, np.int64)
        for row, video in zip(labels, videos, strict=True):
            row[: len(video.labels)] = video.labels
        yield {
            tfma.INPUT_KEY: np.array(records, object),
            tfma.FEATURES_KEY: {
                LABELS: labels,
                slices.LABELS: np.array([slices.labels_bin(len(video.labels)) for video in videos], object),
                slices.FRAMES: np.array([slices.frames_bin(video.num_frames) for video in videos], object),
            },
        }


def _without_records(extracts: tfma.Extracts) -> tfma.Extracts:
    return {key: value for key, value in extracts.items() if key != tfma.INPUT_KEY}
