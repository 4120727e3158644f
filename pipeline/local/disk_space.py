"""Estimates how much a run writes at least, and checks whether there is room for it."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.dag.trainer_order import FOLD, fold_labels
from pipeline.recipe.recipe import Recipe
from serving.export.compression import stored_bytes
from trainer.base.directories import nearest_existing
from trainer.base.errors import UserError
from trainer.base.files import is_local
from trainer.data.records import read_parts
from trainer.data.tfrecord import Record, is_gzip, read_records
from trainer.data.yt8m import ANY_CLASSES
from trainer.model.model_spec import ModelSpec

_GIB = 2**30
_STATE_COPIES = 3
"""The floats that a training state holds for each weight: the weight and two slots of Adam."""


@dataclass(frozen=True)
class Need:
    """The least that a run writes to one place.

    Attributes:
        place: The option that names the directory, for messages.
        directory: The local directory; it need not exist yet.
        what: What is written, for messages.
        size: The number of bytes, without those that are already there.
    """

    place: str
    directory: str
    what: str
    size: int


def run_needs(recipe: Recipe, root: str, data_files: Iterable[str]) -> list[Need]:
    """Returns the least that a run of a recipe writes to each place.

    It is a lower bound: a run that it refuses could not have reached its end. What earlier runs under the same root
    have left of a step counts as written, since it may come from the cache.

    Args:
        recipe: The recipe of the run.
        root: The directory of the run.
        data_files: The files that are read; files in buckets are not counted.
    """
    artifacts, work = Path(root, "artifacts"), Path(root, "work")
    needs = [
        Need(
            "--root",
            root,
            "the examples",
            _left(
                examples_bytes(data_files, recipe.data.copy_),
                artifacts / "checked",
                artifacts / "YouTube8MExampleGen" / "examples",
            ),
        )
    ]
    trained = [("", name, variant) for name, variant in recipe.trained.items()]
    trained += [(FOLD, name, variant) for name, variant in fold_labels(recipe).items()]
    specs = [recipe.spec_of(variant) for variant in recipe.trained.values()]
    forms = recipe.compression.forms
    compressor = "Compressor" if recipe.compression.ladder else "Fp16Compressor"
    for fold, name, variant in trained:
        spec, trainer = recipe.spec_of(variant), f"{fold}Trainer-{name}"
        stored = sum(stored_bytes(spec, form) for form in forms)
        training = _left(training_bytes(recipe, spec), artifacts / trainer, work / trainer)
        averaged = _left(spec.float32_bytes, artifacts / f"{fold}CheckpointAverager-{name}")
        needs += [
            Need("--root", root, f"the snapshots and the state of {name}", training),
            Need("--root", root, "models", averaged),
            Need("--root", root, "models", _left(stored, artifacts / f"{fold}{compressor}-{name}")),
        ]
    ensemble = min(stored_bytes(spec, form) for spec in specs for form in forms)
    needs.append(Need("--root", root, "models", _left(ensemble, artifacts / "EnsembleAssembler")))
    if is_local(recipe.push.directory):
        needs.append(Need("push.directory", recipe.push.directory, "the version that is pushed", ensemble))
    # The ModelServerValidator serves a copy of the ensemble from there.
    needs.append(Need("TMPDIR", tempfile.gettempdir(), "a copy of the ensemble", ensemble))
    return [need for need in needs if need.size]


def training_bytes(recipe: Recipe, spec: ModelSpec) -> int:
    """Returns the bytes that a model's Trainer leaves: snapshots, the last state, and the model of the last step."""
    training = recipe.training_of(spec.architecture)
    snapshots = -(-training.steps // training.snapshot_every)  # the last step has one in any case
    return (snapshots + _STATE_COPIES + 1) * spec.float32_bytes


def examples_bytes(files: Iterable[str], copy: bool = False) -> int:
    """Estimates the bytes that ExampleGen writes of the files: nothing to speak of where they are frame-level files.

    Video-level records shrink, since their floats become bytes.

    Args:
        files: The data files; those in buckets are not counted.
        copy: Whether all videos are written into artifacts.
    """
    paths = [path for path in files if is_local(path)]
    total = sum(os.path.getsize(path) for path in paths)
    for path in paths[:1]:
        record, video = next(iter(read_records(path)), None), next(iter(read_parts(path, ANY_CLASSES)), None)
        if isinstance(record, Record) and isinstance(video, tuple):
            parts, _ = video
            if not copy and not parts.is_video_level and not is_gzip(path):
                return 0
            size = len(parts.rgb) + len(parts.audio)
            return int(total * min(1.0, size / len(record.data)))
    return total // 4


def check_room(needs: Iterable[Need]) -> None:
    """Compares what is needed with what is free, file system by file system.

    Raises:
        UserError: If it does not fit; the message has the directories, what is needed, what is free, and what to do.
    """
    by_device: dict[int, list[Need]] = {}
    for need in needs:
        device = nearest_existing(need.directory).stat().st_dev
        by_device.setdefault(device, []).append(need)
    for found in by_device.values():
        size = sum(need.size for need in found)
        free = shutil.disk_usage(nearest_existing(found[0].directory)).free
        if size > free:
            raise UserError(_refusal(found, size, free))


def _refusal(needs: list[Need], size: int, free: int) -> str:
    directories = {f"{need.directory} ({need.place})": None for need in needs}
    parts: dict[str, int] = {}
    for need in needs:
        parts[need.what] = parts.get(need.what, 0) + need.size
    largest = sorted(parts.items(), key=lambda item: -item[1])[:3]
    told = ", ".join(f"{what} {_text(part)}" for what, part in largest)
    return (
        f"there is no room for this run on the disk of {' and '.join(directories)}: it writes at least {_text(size)} "
        f"({told}), and {_text(free)} are free. Make room, give a directory on another disk, or raise "
        "training.snapshot_every"
    )


def _left(size: int, *directories: Path) -> int:
    """Returns how many of so many bytes are still to be written, when these directories hold some of them."""
    there = sum(
        os.lstat(os.path.join(parent, name)).st_size
        for directory in directories
        for parent, _, names in os.walk(directory)
        for name in names
        if os.path.lexists(os.path.join(parent, name))
    )
    return max(0, size - there)


def _text(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB / 10 else f"{size / 2**20:.1f} MiB"
