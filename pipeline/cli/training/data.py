"""The verb ``yt8m data``, which makes a synthetic data set and checks data files."""

import json
import os
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from pipeline.cli.output import AsJson
from pipeline.cli.verb_group import VerbGroup
from trainer.base.errors import UserError
from trainer.base.files import expand, expand_labelled
from trainer.base.full_disk import chosen_by
from trainer.data.checks.data_check import DataCheck, check_files, together
from trainer.data.checks.lost_files import DataLimits, complaint
from trainer.data.record_parts import Edition
from trainer.data.sample import write_sample
from trainer.data.yt8m import NUM_CLASSES, TOP_K

_ONE_JOB_BYTES = 64 << 20
"""Fewer bytes than this are read before other processes would have started."""


app = typer.Typer(cls=VerbGroup, add_completion=False, rich_markup_mode=None)


@app.callback()
def _data() -> None:
    """Writes a synthetic sample of YouTube-8M data, or checks data files.

    Example: yt8m data check 'data/*.tfrecord'
    """


@app.command()
def sample(
    directory: Annotated[
        str, typer.Argument(help="Directory that the shards are written to.", metavar="DIR")
    ],
    train_videos: Annotated[int, typer.Option(help="Number of videos in all train shards together.")] = 2400,
    validate_videos: Annotated[
        int, typer.Option(help="Number of videos in all validate shards together.")
    ] = 800,
    shards: Annotated[int, typer.Option(help="Number of train shards, and of validate shards.")] = 8,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the random content: the same arguments write the same bytes.")
    ] = 0,
    min_frames: Annotated[int, typer.Option(help="Number of frames of the shortest video.")] = 4,
    max_frames: Annotated[int, typer.Option(help="Number of frames of the longest video, at most 300.")] = 16,
    order: Annotated[
        bool,
        typer.Option(
            "--order", help="Write videos of 24 classes that only the order of their frames tells apart."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Writes synthetic shards that a model can learn from, in the exact format of YouTube-8M's frame level.

    Example: yt8m data sample sample/ --train-videos 2400 --validate-videos 800
    """
    with chosen_by("DIR", directory):
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
    patterns: Annotated[list[str], typer.Argument(help="Data files, or globs in quotes.", metavar="GLOB...")],
    max_reject_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Exits with 2 if a larger share of the videos than this is bad."),
    ] = 0.01,
    max_lost_files: Annotated[
        int, typer.Option(min=0, help="Exits with 2 if more files than this cannot be read at all.")
    ] = 0,
    num_classes: Annotated[
        int,
        typer.Option(
            min=TOP_K,
            help="Number of classes: labels run from 0 to one less, as with a recipe's data.num_classes.",
        ),
    ] = NUM_CLASSES,
    jobs: Annotated[int, typer.Option(min=0, help="Number of processes; 0 for one per core.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Reads every record of some files, frame level or video level, and says what is wrong with them.

    It counts and names videos without labels, files that are lost or cut, videos that are there twice, and copied
    files. The exit code is 2 if a run on these files would stop for what was found.

    Example: yt8m data check 'data/train*.tfrecord' 'data/validate*.tfrecord' --json
    """
    files = expand(patterns)
    checks = check_files(files, num_classes, jobs or _default_jobs(files))
    progress = Console(stderr=True)
    found = together(
        track(checks, "checking", total=len(files), console=progress, disable=not progress.is_terminal)
    )
    left_out = len(expand_labelled(patterns)[1])
    typer.echo(json.dumps(_document(found, left_out), indent=2) if as_json else _text(found, left_out))
    wrong = complaint(
        found.videos,
        found.rejected,
        found.lost_files,
        found.copies,
        DataLimits(max_reject_share=max_reject_share, max_lost_files=max_lost_files),
        lambda name: f"--{name.replace('_', '-')}",
        "the first rejects of each reason are named above",
    )
    if wrong:
        raise UserError(wrong)


def _default_jobs(files: list[str]) -> int:
    small = all(os.path.isfile(path) for path in files) and sum(map(os.path.getsize, files)) < _ONE_JOB_BYTES
    return 1 if small else os.cpu_count() or 1


def _document(found: DataCheck, left_out: int) -> dict[str, Any]:
    return {
        "files": found.files,
        "videos": found.videos,
        "unlabelled_videos": found.unlabelled,
        "frames": found.frames,
        "labels": found.labels,
        "editions": dict(found.editions),
        "rejected_videos": sum(found.rejected.values()),
        "rejected_is_estimated": bool(found.lost_files),
        "share": found.share,
        "rejected": dict(found.rejected),
        "first_rejects": [asdict(reject) for rejects in found.first_rejects.values() for reject in rejects],
        "lost_or_cut_files": [asdict(loss) for loss in found.lost_files],
        "copied_files": dict(found.copies),
        "test_files_left_out_of_runs": left_out,
    }


def _text(found: DataCheck, left_out: int) -> str:
    lost, about = sum(found.rejected.values()), "about " if found.lost_files else ""
    lines = [
        f"files      {found.files:>13,}",
        f"videos     {found.videos:>13,}",
        f"unlabelled {found.unlabelled:>13,}{_unlabelled_text(found)}",
        f"frames     {found.frames:>13,}",
        f"labels     {found.labels:>13,}",
        f"edition    {_editions_text(found)}",
        f"rejected   {lost:>13,} ({about}{found.share:.2%} of {about}{lost + found.videos:,} videos)",
    ]
    if left_out:
        lines.append(
            f"  {left_out:,} of the files are named test*: a run with the same pattern leaves them out"
        )
    for reason, count in sorted(found.rejected.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"  {reason}: {count:,}")
        lines.extend(
            f"    {reject.file} at byte {reject.offset}: {reject.detail}"
            for reject in found.first_rejects.get(reason, ())
        )
    lines.extend(
        f"  {'lost' if loss.whole else 'cut'}: {loss.file} ({loss.reason}), with about {loss.videos:,} videos"
        for loss in found.lost_files
    )
    lines.extend(f"  copy: {file} of {original}" for file, original in found.copies.items())
    return "\n".join(lines)


def _unlabelled_text(found: DataCheck) -> str:
    if not found.unlabelled:
        return ""
    if found.unlabelled == found.videos:
        return " (all: nothing here can be trained or evaluated on; yt8m infer predicts them)"
    return " (without labels, as in test files: they neither train nor evaluate)"


def _editions_text(found: DataCheck) -> str:
    notes = {
        Edition.OF_2016: "data.num_classes is 4800 in 2016, 4716 in 2017",
        Edition.OF_2019: "its segment labels are not used",
    }
    parts = []
    for edition, records in found.editions.items():
        note = notes.get(Edition(edition))
        parts.append(f"{edition} ({records:,} records{'; ' + note if note else ''})")
    return ", ".join(parts) or "none"
