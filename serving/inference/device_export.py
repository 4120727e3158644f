"""Writes a model for devices and checks it: the same videos through TensorFlow and through the device's runtime."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from serving.export.device_weights import DeviceWeights
from serving.export.litert import write_litert
from serving.inference.device_model import DeviceModel
from serving.inference.litert_model import LiteRtModel
from serving.inference.scoring import SavedModelScorer
from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.base.whole import whole_file
from trainer.data.labels import label_rows
from trainer.data.records import valid_videos
from trainer.metrics.video_metrics import VideoMetrics

CHECK_VIDEOS = 200
"""Number of videos that a file is checked with, unless told otherwise."""
TOLERANCES = {
    DeviceWeights.FLOAT32: 1e-4,
    DeviceWeights.FLOAT16: 1e-4,
    DeviceWeights.INT8: 1e-3,
    DeviceWeights.INT4: 1e-3,
}
"""Largest loss of GAP of a file that is fit for use."""
_BATCH = 20


@dataclass(frozen=True, kw_only=True)
class DeviceCheck:
    """How the answers of a file differ from those of the SavedModel that it was made of.

    Attributes:
        runtime: Name of the runtime that the file was loaded by.
        videos: Number of videos that both answered.
        gap_tensorflow: GAP of the SavedModel on them.
        gap: GAP of the file.
        same_best: Share of the videos whose best class is the same.
        largest_difference: Largest difference of two probabilities of the same class of a video.
    """

    runtime: str
    videos: int
    gap_tensorflow: float
    gap: float
    same_best: float
    largest_difference: float

    @property
    def gap_lost(self) -> float:
        """Loss of GAP; negative where the file is better."""
        return self.gap_tensorflow - self.gap

    def __str__(self) -> str:
        return (
            f"{self.videos:,} videos: GAP {self.gap_tensorflow:.5f} by TensorFlow, {self.gap:.5f} by {self.runtime} "
            f"({self.gap_lost:+.5f} lost); the best class is the same for {self.same_best:.1%}; a probability differs "
            f"by {self.largest_difference:.4f} at most"
        )


def export_litert(
    directory: str, path: str, weights: DeviceWeights, files: Sequence[str], videos: int = CHECK_VIDEOS
) -> DeviceCheck | None:
    """Writes a SavedModel as a LiteRT file, and checks it; see `_export`."""
    return _export(write_litert, LiteRtModel, directory, path, weights, files, videos)


def export_onnx(
    directory: str, path: str, weights: DeviceWeights, files: Sequence[str], videos: int = CHECK_VIDEOS
) -> DeviceCheck | None:
    """Writes a SavedModel as an ONNX file, and checks it; see `_export`. UserError where its packages are missing."""
    try:
        from serving.export.onnx_file import write_onnx
        from serving.inference.onnx_model import OnnxModel
    except ImportError as error:
        raise UserError(
            f"an ONNX file needs the packages of this project's extra onnx ({error}): make setup"
        ) from None
    return _export(write_onnx, OnnxModel, directory, path, weights, files, videos)


def _export(
    write: Callable[[str, str, DeviceWeights], object],
    load: Callable[[str], DeviceModel],
    directory: str,
    path: str,
    weights: DeviceWeights,
    files: Sequence[str],
    videos: int,
) -> DeviceCheck | None:
    """Writes a file and checks it; a file that fails is not left there.

    Args:
        write: Writes the file of a SavedModel.
        load: Loads the file.
        directory: Directory of saved_model.pb.
        path: Local path of the file.
        weights: How kernels are stored.
        files: YT-8M files with labelled videos to check with; none for no check.
        videos: The first so many videos are taken.

    Returns:
        What the check found; None without one.

    Raises:
        UserError: See `write_litert` and `write_onnx`; there is no labelled video, or the file is worse than it may be.
    """
    with whole_file(path) as unchecked:
        write(directory, unchecked, weights)
        check = _check(directory, load(unchecked), files, videos) if files else None
        if check and check.gap_lost > TOLERANCES[weights]:
            raise UserError(
                f"{weights} loses more than the {TOLERANCES[weights]:g} of GAP that it may, so {path} was not written "
                f"({check}): choose larger weights, or for int4 a model whose kernels were rounded by real videos "
                "(yt8m compress --to int4-b256 --calibrate FILES)"
            )
    return check


def _check(directory: str, model: DeviceModel, files: Sequence[str], limit: int) -> DeviceCheck:
    """Compares the answers of a file with those of its SavedModel on the first videos with labels."""
    scorer = SavedModelScorer(directory)
    num_classes = scorer.card.num_classes
    by_tensorflow, by_file = VideoMetrics(num_classes), VideoMetrics(num_classes)
    same, largest = 0, 0.0
    labelled = (video for video in valid_videos(files, num_classes, lambda reject: None) if video.labels)
    for videos in batched(islice(labelled, limit), _BATCH):
        expected = scorer.scores(videos)
        scores = model.scores([video.sequence_example for video in videos])
        labels = label_rows(videos, num_classes)
        by_tensorflow.update(expected, labels)
        by_file.update(scores, labels)
        same += int((expected.argmax(axis=1) == scores.argmax(axis=1)).sum())
        largest = max(largest, float(np.abs(expected - scores).max()))
    if not by_file.videos:
        raise UserError(f"there is no valid video with labels in {' '.join(files[:3])}: see yt8m data check")
    return DeviceCheck(
        runtime=model.RUNTIME,
        videos=by_file.videos,
        gap_tensorflow=by_tensorflow.result().gap,
        gap=by_file.result().gap,
        same_best=same / by_file.videos,
        largest_difference=largest,
    )
