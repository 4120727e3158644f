"""The verb ``yt8m evaluate``, which measures GAP and the other metrics of a SavedModel on files."""

import dataclasses
import json
import logging
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from pipeline.cli.output import AsJson
from pipeline.cli.progress_lines import RejectLines, TimedLines
from trainer.base.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.data.records import Video

_logger = logging.getLogger("yt8m.evaluate")


def evaluate(
    model: Annotated[
        str, typer.Option(help="Directory of a SavedModel, or of versions, of which the newest is taken.")
    ],
    data: Annotated[
        list[str],
        typer.Option(help="File, or glob in quotes, of frame-level or video-level records. May be repeated."),
    ],
    batch_size: Annotated[int, typer.Option(min=1, help="Number of videos that are scored at once.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Measures GAP@20, Hit@1, PERR and MAP of a model of this project on YT-8M files.

    Records that are no valid video are named on standard error, counted and left out. Second records of a video, and
    videos without labels as in test files, are counted and left out, too.

    Example: yt8m evaluate --model models/demo/yt8m --data 'data/validate*.tfrecord' --json
    """
    result = measure(model, data, batch_size)
    typer.echo(json.dumps(result, indent=2) if as_json else _text(result))


def measure(model: str, patterns: list[str], batch_size: int = 64) -> dict[str, Any]:
    """Returns the four metrics of a SavedModel on the valid videos of files, and the number of other records."""
    from serving.store.model_store import whole_model_path
    from trainer.base.files import expand_labelled, left_out_line

    # Before the seconds that TensorFlow takes.
    (files, left_out), directory = expand_labelled(patterns), whole_model_path(model)
    if left_out:
        _logger.warning("%s", left_out_line(left_out))

    from serving.inference.scoring import SavedModelScorer, score_videos
    from trainer.base.memory import keep_freed_memory
    from trainer.base.prefetch import prefetch
    from trainer.data.labels import label_rows
    from trainer.metrics.video_metrics import VideoMetrics

    keep_freed_memory()
    scorer = SavedModelScorer(directory)
    metrics = VideoMetrics(scorer.card.num_classes)
    rejects = RejectLines(_logger, "yt8m data check names all of them")
    choice, lines, terminal = _Choice(), TimedLines(_logger), Console(stderr=True)
    began = time.monotonic()
    watched = track(files, "evaluating", console=terminal, disable=not terminal.is_terminal)
    # Each batch is measured while the next one is scored.
    for videos, scores in prefetch(score_videos(scorer, watched, batch_size, rejects.add)):
        chosen = choice.of(videos)
        if len(chosen):
            metrics.update(
                scores[chosen], label_rows([videos[row] for row in chosen], scorer.card.num_classes)
            )
        lines.say(_progress(metrics.videos, began))
    if (unknown := rejects.reasons["label_out_of_range"]) > metrics.videos:
        raise UserError(
            f"{unknown:,} of {unknown + metrics.videos:,} videos have labels that the model, of "
            f"{scorer.card.num_classes} classes, does not know: evaluate it on files of the edition that it was "
            "trained on (docs/data.md)"
        )
    if not metrics.videos:
        raise UserError(
            f"there is no valid video with labels in {' '.join(patterns)} ({choice.unlabelled:,} videos without "
            f"labels, {rejects.count:,} invalid records): "
            + (
                "metrics need labels; yt8m infer predicts such videos"
                if choice.unlabelled
                else "see yt8m data check"
            )
        )
    lines.say(_progress(metrics.videos, began), last=True)
    choice.say()
    return {
        **dataclasses.asdict(metrics.result()),
        "unlabelled": choice.unlabelled,
        "duplicates": choice.duplicates,
        "rejected": rejects.count,
    }


class _Choice:
    """Chooses the videos that are measured: those with labels, each id once."""

    def __init__(self) -> None:
        from trainer.data.video_ids import SeenIds

        self.unlabelled = self.duplicates = 0
        self._seen = SeenIds()

    def of(self, videos: "Sequence[Video]") -> list[int]:
        """Returns the places in a batch of the videos that are measured."""
        from trainer.data.video_ids import UNSEEN, digests

        labelled = [place for place, video in enumerate(videos) if video.labels]
        earlier = self._seen.add(0, digests(videos[place].id for place in labelled))
        chosen = [place for place, file in zip(labelled, earlier, strict=True) if file == UNSEEN]
        self.unlabelled += len(videos) - len(labelled)
        self.duplicates += len(labelled) - len(chosen)
        return chosen

    def say(self) -> None:
        """Logs a line on each kind of videos that were not measured."""
        if self.unlabelled:
            _logger.warning("left out: %d videos without labels", self.unlabelled)
        if self.duplicates:
            _logger.warning(
                "left out: %d records of videos that stood before (duplicate_id)", self.duplicates
            )


def _progress(videos: int, began: float) -> str:
    return f"{videos:,} videos, {videos / max(time.monotonic() - began, 1e-9):,.0f} a second"


def _text(result: dict[str, Any]) -> str:
    rows = (
        ("GAP@20", f"{result['gap']:.4f}"),
        ("Hit@1", f"{result['hit_at_one']:.4f}"),
        ("PERR", f"{result['perr']:.4f}"),
        ("MAP", f"{result['map']:.4f}"),
        ("videos", f"{result['videos']:,}"),
        ("unlabelled", f"{result['unlabelled']:,}"),
        ("duplicates", f"{result['duplicates']:,}"),
        ("rejected", f"{result['rejected']:,}"),
    )
    return "\n".join(f"{name:<10} {value:>9}" for name, value in rows)
