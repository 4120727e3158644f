"""``yt8m predict``: the classes of the videos in files."""

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.connection import CaFile, CertificateFile, KeyFile, ModelVersion, VersionLabel, predictor_of

if TYPE_CHECKING:
    import numpy as np

    from serving.export.vocabulary import Vocabulary
    from trainer.data.records import Video

_logger = logging.getLogger("yt8m.predict")

_BATCH_SIZE = 32


def predict(
    files: Annotated[
        list[str], typer.Argument(help="TFRecord files, plain or gzip, frame level or video level.")
    ],
    target: Annotated[
        str | None, typer.Option(help="HOST:PORT of a server. Default: localhost:8500, unless --model.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Directory of a SavedModel, or of versions: loaded here, without a server."),
    ] = None,
    model_name: Annotated[str, typer.Option(help="What the server calls the model.")] = "yt8m",
    model_version: ModelVersion = None,
    version_label: VersionLabel = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="YT-8M's vocabulary.csv, for names instead of the model's own.")
    ] = None,
    video_id: Annotated[str | None, typer.Option("--id", help="Only the video with this id.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many videos. Default: all.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos of one request.")] = _BATCH_SIZE,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests on their way at once.")] = 4,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that the server gets a request.")] = 60.0,
    tls_ca: CaFile = None,
    tls_certificate: CertificateFile = None,
    tls_key: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Prints the 20 best classes, with scores, of the videos in files.

    Records that are no valid video are named on standard error and left out.

    \b
    Examples: yt8m predict FILE.tfrecord --target localhost:8500 --vocabulary vocabulary.csv
              yt8m predict FILE.tfrecord --model models/demo --id 3a9f --json
    """
    from serving.export.vocabulary import Vocabulary
    from serving.inference.ordered_map import ordered_map
    from trainer.base.errors import UserError
    from trainer.base.files import open_file

    if target and model:
        raise UserError("--target asks a server and --model does without one: give one of them")
    names = Vocabulary.load(vocabulary) if vocabulary else None
    for path in files:  # before the seconds that a model takes
        with open_file(path, "rb"):
            pass
    rejected: list[str] = []
    videos = itertools.islice(_wanted(files, video_id, rejected.append), limit)
    answers = []
    tls = (tls_ca, tls_certificate, tls_key)
    chosen = predictor_of(
        model, target or "localhost:8500", model_name, model_version, version_label, timeout, tls
    )
    with closing(chosen) as predictor:
        answered = ordered_map(
            lambda batch: predictor.predict_named([video.sequence_example for video in batch]),
            _batches(videos, batch_size),
            concurrency,
        )
        for batch, (classes, scores, labels) in answered:
            shown = _names(classes, labels, names)
            for video, *row in zip(batch, classes.tolist(), shown, scores.tolist(), strict=True):
                answer = _answer(video, *row)
                answers.append(answer)
                if not as_json:
                    typer.echo(_text(answer))
    if not answers:
        what = "no valid video" if video_id is None else f"no valid video with the id {video_id}"
        raise UserError(f"{' '.join(files)}: {what} ({len(rejected)} invalid records); see yt8m data check")
    if as_json:
        typer.echo(json.dumps({"videos": answers, "rejected": len(rejected)}, indent=2))


def _wanted(
    files: Iterable[str], video_id: str | None, on_reject: Callable[[str], None]
) -> "Iterator[Video]":
    """The valid videos of files, or those with one id; each reject is logged."""
    from trainer.data.records import Reject, read_videos
    from trainer.data.yt8m import ANY_CLASSES

    for item in itertools.chain.from_iterable(read_videos(path, ANY_CLASSES) for path in files):
        if isinstance(item, Reject):
            line = f"{item.file}, byte {item.offset}: {item.reason} ({item.detail})"
            _logger.warning("predict: left out: %s", line)
            on_reject(line)
        elif video_id is None or item.id == video_id.encode():
            yield item


def _batches(videos: "Iterable[Video]", size: int) -> "Iterator[list[Video]]":
    iterator = iter(videos)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _names(
    classes: "np.ndarray", labels: "np.ndarray | None", vocabulary: "Vocabulary | None"
) -> list[list[str]]:
    """What to show for classes [B, k]: the vocabulary's names, or else the model's own."""
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
