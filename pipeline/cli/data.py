"""``yt8m data``: makes a synthetic data set, and checks data files."""

import json
import os
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from trainer.check import Check, check_files
from trainer.errors import UserError
from trainer.records import expand
from trainer.sample import write_sample
from trainer.yt8m import NUM_CLASSES

_ONE_JOB_BYTES = 64 << 20
"""Data that is read before other processes would have started."""

_Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def _data() -> None:
    """YouTube-8M data files: write a synthetic sample, or check what is there."""


@app.command()
def sample(
    directory: Annotated[str, typer.Argument(help="Where the shards go.", metavar="DIR")],
    train_videos: Annotated[int, typer.Option(help="Videos in the train shards.")] = 2400,
    validate_videos: Annotated[int, typer.Option(help="Videos in the validate shards.")] = 800,
    shards: Annotated[int, typer.Option(help="Train shards, and as many validate shards.")] = 8,
    seed: Annotated[int, typer.Option(help="The same arguments write the same bytes.")] = 0,
    min_frames: Annotated[int, typer.Option(help="Frames of the shortest video.")] = 4,
    max_frames: Annotated[int, typer.Option(help="Frames of the longest video, at most 300.")] = 16,
    order: Annotated[
        bool,
        typer.Option("--order", help="Classes 0 to 23 that only the order of a video's frames tells apart."),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Write learnable, synthetic shards in the exact format of YouTube-8M's frame level.

    Example: yt8m data sample sample/ --train-videos 2400 --validate-videos 800
    """
    paths = write_sample(
        directory,
        train_videos=train_videos,
        validate_videos=validate_videos,
        shards=shards,
        seed=seed,
        min_frames=min_frames,
        max_frames=max_frames,
        order=order,
    )
    if as_json:
        videos = {"train_videos": train_videos, "validate_videos": validate_videos}
        typer.echo(json.dumps({"files": paths, **videos}, indent=2))
    else:
        typer.echo(
            f"{directory}: {shards} train shards with {train_videos:,} videos, {shards} validate shards with "
            f"{validate_videos:,}"
        )


@app.command()
def check(
    patterns: Annotated[list[str], typer.Argument(help="Files or quoted globs.", metavar="GLOB...")],
    max_reject_share: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 2 when more of the videos than this are bad.")
    ] = 0.01,
    num_classes: Annotated[int, typer.Option(min=1, help="Labels run from 0 to one less.")] = NUM_CLASSES,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 for one a core.")] = 0,
    as_json: _Json = False,
) -> None:
    """Read every record of some files, frame level or video level, and say what is wrong with them.

    Example: yt8m data check 'data/train*.tfrecord' 'data/validate*.tfrecord' --json
    """
    files = expand(patterns)
    found = Check()
    checks = check_files(files, num_classes, jobs or _default_jobs(files))
    progress = Console(stderr=True)
    for one in track(
        checks, "checking", total=len(files), console=progress, disable=not progress.is_terminal
    ):
        found += one
    typer.echo(json.dumps(_document(found), indent=2) if as_json else _text(found))
    if found.share > max_reject_share:
        lost = found.rejected.total()
        raise UserError(
            f"{lost:,} of {lost + found.videos:,} videos ({found.share:.2%}) cannot be used, more than the "
            f"{max_reject_share:.2%} allowed; mend or remove the files named above, or raise "
            "--max-reject-share"
        )


def _default_jobs(files: list[str]) -> int:
    small = all(os.path.isfile(path) for path in files) and sum(map(os.path.getsize, files)) < _ONE_JOB_BYTES
    return 1 if small else os.cpu_count() or 1


def _document(found: Check) -> dict[str, Any]:
    return {
        "files": found.files,
        "videos": found.videos,
        "unlabelled_videos": found.unlabelled,
        "frames": found.frames,
        "labels": found.labels,
        "rejected_videos": found.rejected.total(),
        "share": found.share,
        "rejected": dict(sorted(found.rejected.items())),
        "first_rejects": [asdict(reject) for rejects in found.first_rejects.values() for reject in rejects],
    }


def _text(found: Check) -> str:
    lines = [
        f"files    {found.files:>13,}",
        f"videos   {found.videos:>13,}",
        f"frames   {found.frames:>13,}",
        f"labels   {found.labels:>13,}",
        f"rejected {found.rejected.total():>13,} ({found.share:.2%} of all videos)",
    ]
    for reason, lost in found.rejected.most_common():
        lines.append(f"  {reason}: {lost:,}")
        lines.extend(
            f"    {reject.file} at byte {reject.offset}: {reject.detail}"
            for reject in found.first_rejects[reason]
        )
    return "\n".join(lines)
