"""The verb ``yt8m predict``, which prints the classes of the videos in files."""

import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options.connection import (
    CaFile,
    CertificateFile,
    KeyFile,
    ModelVersion,
    VersionLabel,
    check_no_tls,
    predictor_of,
)
from pipeline.cli.output import AsJson
from pipeline.cli.progress_lines import RejectLines

if TYPE_CHECKING:
    import numpy as np

    from serving.export.vocabulary import Vocabulary
    from trainer.data.records import Video

_logger = logging.getLogger("yt8m.predict")

_BATCH_SIZE = 32


def predict(
    files: Annotated[
        list[str],
        typer.Argument(help="Data: TFRecord files, plain or gzip, of frame-level or video-level records."),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Address of a server, HOST:PORT. Default: localhost:8500, unless --model is given."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Directory of a SavedModel, or of versions; the model is loaded here, without a server."
        ),
    ] = None,
    litert: Annotated[
        str | None,
        typer.Option(
            help="LiteRT file of yt8m export; its interpreter runs here, without TensorFlow or a server."
        ),
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name by which the server knows the model.")] = "yt8m",
    model_version: ModelVersion = None,
    version_label: VersionLabel = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(help="YT-8M's vocabulary.csv, whose class names are shown instead of the model's own."),
    ] = None,
    video_id: Annotated[
        str | None, typer.Option("--id", help="Predicts only the video with this id.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most videos to predict. Default: all.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Number of videos in a request.")] = _BATCH_SIZE,
    concurrency: Annotated[int, typer.Option(min=1, help="Number of requests at the same time.")] = 4,
    timeout: Annotated[float, typer.Option(min=0.001, help="Most seconds that a request may take.")] = 60.0,
    tls_ca: CaFile = None,
    tls_certificate: CertificateFile = None,
    tls_key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Prints the 20 best classes, with scores, of the videos in files.

    Records that are no valid video are named on standard error and left out.

    \b
    Examples: yt8m predict FILE.tfrecord --target localhost:8500 --vocabulary vocabulary.csv
              yt8m predict FILE.tfrecord --model models/demo/yt8m --id 3a9f --json
    """
    from serving.export.vocabulary import Vocabulary
    from serving.inference.ordered_map import ordered_map
    from trainer.base.batches import batched
    from trainer.base.errors import UserError
    from trainer.base.files import is_local, open_file

    if len([one for one in (target, model, litert) if one is not None]) > 1:
        raise UserError("--target asks a server, --model and --litert do without one: give one of the three")
    tls = (tls_ca, tls_certificate, tls_key)
    if litert is not None:
        check_no_tls(tls)
        if model_version is not None or version_label is not None:
            raise UserError("--litert is one model: leave out --model-version and --version-label")
    names = Vocabulary.load(vocabulary) if vocabulary is not None else None
    for path in files:  # before the seconds that a model takes
        if is_local(path) and os.path.exists(path) and not os.path.isfile(path):
            # A pipe without a writer would be waited for.
            raise UserError(f"{path} is a directory, a pipe or a device: give the path of a TFRecord file")
        with open_file(path, "rb"):
            pass
    rejects = RejectLines(_logger, "yt8m data check names all of them")
    videos = itertools.islice(_wanted(files, video_id, rejects), limit)
    if (first := next(videos, None)) is None:  # before the seconds that a model takes
        what = "no valid video" if video_id is None else f"no valid video with the id {video_id}"
        raise UserError(f"{' '.join(files)}: {what} ({rejects.count} invalid records); see yt8m data check")
    videos = itertools.chain([first], videos)
    answers = []
    if litert is not None:
        from serving.inference.litert_model import LiteRtModel

        chosen = LiteRtModel(litert)
    else:
        address = "localhost:8500" if target is None else target
        chosen = predictor_of(model, address, model_name, model_version, version_label, timeout, tls)
    with closing(chosen) as predictor:
        answered = ordered_map(
            lambda batch: predictor.predict_named([video.sequence_example for video in batch]),
            batched(videos, batch_size),
            concurrency,
        )
        for batch, (classes, scores, labels) in answered:
            shown = _names(classes, labels, names)
            for video, *row in zip(batch, classes.tolist(), shown, scores.tolist(), strict=True):
                answer = _answer(video, *row)
                answers.append(answer)
                if not as_json:
                    typer.echo(_text(answer))
    if as_json:
        typer.echo(json.dumps({"videos": answers, "rejected": rejects.count}, indent=2))


def _wanted(files: Iterable[str], video_id: str | None, rejects: RejectLines) -> "Iterator[Video]":
    """Yields the valid videos of files, or those with one id, and logs each reject."""
    from trainer.data.records import valid_videos
    from trainer.data.yt8m import ANY_CLASSES

    for video in valid_videos(files, ANY_CLASSES, rejects.add):
        if video_id is None or video.id == video_id.encode():
            yield video


def _names(
    classes: "np.ndarray", labels: "np.ndarray | None", vocabulary: "Vocabulary | None"
) -> list[list[str]]:
    """Returns the names of classes [B, k]: the vocabulary's names, or else the model's own."""
    from serving.export.vocabulary import Vocabulary

    if vocabulary is None and labels is not None:
        return [[name.decode(errors="backslashreplace") for name in row] for row in labels.tolist()]
    vocabulary = vocabulary or Vocabulary({})
    return [[vocabulary.name(index) for index in row] for row in classes.tolist()]


def _answer(
    video: "Video", classes: Sequence[int], names: Sequence[str], scores: Sequence[float]
) -> dict[str, Any]:
    return {
        "id": video.id.decode(errors="backslashreplace"),
        "frames": video.num_frames,
        "labels": list(video.labels),
        "classes": [
            {"class": index, "name": name, "score": score}
            for index, name, score in zip(classes, names, scores, strict=True)
        ],
    }


def _text(answer: dict[str, Any]) -> str:
    frames = f"{answer['frames']} frame{'' if answer['frames'] == 1 else 's'}"
    lines = [f"{answer['id']} ({frames})"]
    lines += [f"  {one['score']:.4f}  {one['class']:>4}  {one['name']}" for one in answer["classes"]]
    return "\n".join(lines)
