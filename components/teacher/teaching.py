"""Soft targets from beginning to end: which models score which files, on as many machines as the Beam runner has."""

import json
import logging
import posixpath
import shutil
import time
from collections.abc import Callable, Sequence

import apache_beam as beam

from components.teacher.beam_steps import ScoreTask, add_steps
from components.teacher.config import TeacherConfig
from components.teacher.report import TeacherReport
from serving.export.card import ModelCard
from serving.inference.inference_parts import directory_identity
from serving.store.whole_model import check_model
from trainer.base.errors import UserError
from trainer.base.files import exists, file_size, make_dirs, open_file, remove_file, remove_tree
from trainer.data.manifest import file_identity
from trainer.data.soft_targets import TeacherManifest, count_entries, part_path

_PLAN = "plan"
"""Sub-directory with the manifest of soft targets that are not whole yet."""

_logger = logging.getLogger("yt8m.teacher")


def teach(
    models: Sequence[str],
    files: Sequence[str],
    directory: str,
    config: TeacherConfig,
    make_pipeline: Callable[[], beam.Pipeline],
    work_dir: str | None = None,
) -> TeacherReport:
    """Writes the soft targets of all videos of some files.

    Files that an interrupted attempt has scored are not scored again, if models, files and settings are the same.

    Args:
        models: Directories of SavedModels. With one, it scores all files. With several, file i is scored by model i
            modulo their number: out of fold, when that model was trained on the files of the other numbers.
        files: TFRecord files of valid videos.
        directory: Directory that receives the soft targets (see `trainer.data.soft_targets`).
        config: What is kept of the scores.
        make_pipeline: Makes the Beam pipeline that does the work.
        work_dir: Local directory that outlives a killed attempt; None where a retry is given the same `directory`.

    Raises:
        UserError: A model is damaged, models have other classes than the first, there are fewer files than models, or
            no video.
    """
    cards = [ModelCard.load(model) for model in models]
    for model, card in zip(models, cards, strict=True):
        check_model(model)
        if card.num_classes != cards[0].num_classes:
            raise UserError(
                f"{model} has {card.num_classes} classes and {models[0]} {cards[0].num_classes}: teachers must "
                "have the same classes"
            )
    if len(files) < len(models):
        raise UserError(
            f"{len(files)} files cannot be divided among {len(models)} models: choose fewer folds, or give more files"
        )
    identities = [file_identity(path) for path in files]
    manifest = TeacherManifest(
        models=tuple(map(directory_identity, models)),
        num_classes=cards[0].num_classes,
        threshold=config.threshold,
        max_classes=config.max_classes,
        files=tuple(identities),
    )
    place = work_dir or directory
    _prepare(place, manifest)
    tasks = [
        ScoreTask(path=path, part=part_path(place, index), model=models[index % len(models)])
        for index, path in enumerate(files)
        if not exists(part_path(place, index))
    ]
    names = [" + ".join(member.variant for member in card.members) for card in cards]
    _logger.info("%d of %d files are to be scored by %s", len(tasks), len(files), "; ".join(names))
    begin = time.monotonic()
    if tasks:
        _score(tasks, config, posixpath.join(place, _PLAN, "errors.json"), make_pipeline)
    seconds = time.monotonic() - begin
    parts = [part_path(place, index) for index in range(len(files))]
    counts = [count_entries(part) for part in parts]
    videos = sum(number for number, _ in counts)
    if not videos:
        raise UserError(f"there is no video in {len(files)} files, {files[0]} the first: see yt8m data check")
    report = TeacherReport(
        models=tuple(names),
        videos=videos,
        classes=sum(classes for _, classes in counts),
        bytes=sum(map(file_size, parts)),
        examples_bytes=sum(size for _, size, *_ in identities),
        files=len(files),
        resumed_files=len(files) - len(tasks),
        seconds=seconds,
    )
    if work_dir:
        make_dirs(directory)
        for index, part in enumerate(parts):
            shutil.copyfile(part, part_path(directory, index))
    manifest.write(directory)
    remove_tree(work_dir or posixpath.join(directory, _PLAN))
    return report


def _prepare(place: str, manifest: TeacherManifest) -> None:
    """Keeps what an earlier attempt of the same plan has left, and nothing of any other."""
    plan = posixpath.join(place, _PLAN)
    if TeacherManifest.read(plan) != manifest:
        remove_tree(place)
        manifest.write(plan)


def _score(
    tasks: Sequence[ScoreTask],
    config: TeacherConfig,
    errors_path: str,
    make_pipeline: Callable[[], beam.Pipeline],
) -> None:
    remove_file(errors_path)
    with make_pipeline() as pipeline:
        add_steps(pipeline, tasks, config.threshold, config.max_classes, config.batch_size, errors_path)
    with open_file(errors_path, "rb") as file:
        errors = json.loads(file.read())
    if errors:
        raise UserError(errors[0])
