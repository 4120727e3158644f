"""Estimates how much a run writes at least, and checks whether there is room for it."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.checkpoint_averager.ranges import configured_ranges, needed_steps
from pipeline.dag.trainer_order import FOLD, TRAINER, fold_labels, training_work, waits_for
from pipeline.recipe.recipe import Recipe
from serving.export.compression import stored_bytes
from trainer.base.directories import nearest_existing
from trainer.base.errors import UserError
from trainer.base.files import is_local
from trainer.checkpoints.removal import REMOVED
from trainer.data.records import read_parts
from trainer.data.tfrecord import Record, is_gzip, read_records
from trainer.data.yt8m import ANY_CLASSES
from trainer.training.config import SCRATCH

_GIB = 2**30
_STATE_COPIES = 3
"""The floats that a training state holds for each weight: the weight and two slots of Adam."""
_STATES = 3
"""The states that are there while the newest is written."""
_AUTOMATIC_RANGES = 2
"""The least number of averages that are made around the best snapshot, if it is not the only one."""


@dataclass(frozen=True)
class Need:
    """The least that a run writes to one place.

    Attributes:
        place: The option that names the directory, for messages.
        directory: The local directory; it need not exist yet.
        what: What is written, for messages.
        size: The number of bytes that are there at the moment when the run takes most.
        stays: The number of bytes that the run leaves.
    """

    place: str
    directory: str
    what: str
    size: int
    stays: int = 0


def run_needs(recipe: Recipe, root: str, data_files: Iterable[str], anew: bool = False) -> list[Need]:
    """Returns the least that a run of a recipe writes to each place.

    It is a lower bound: a run that it refuses could not have reached its end.

    Args:
        recipe: The recipe of the run.
        root: The directory of the run.
        data_files: The files that are read; files in buckets are not counted.
        anew: Whether everything is done anew. Else what earlier runs under the same root have left of a step counts as
            written, since it may come from the cache.
    """
    ensemble = min(
        stored_bytes(recipe.spec_of(variant), form)
        for variant in recipe.trained.values()
        for form in recipe.compression.forms
    )
    needs = _root_needs(recipe, root, data_files, ensemble, anew)
    if is_local(recipe.push.directory):
        what = "the version that is pushed"
        needs.append(Need("push.directory", recipe.push.directory, what, ensemble, ensemble))
    # The ModelServerValidator serves a copy of the ensemble from there.
    scratch = {"a copy of the ensemble": ensemble} | {
        f"the averages of {name}": averages_bytes(recipe, name) for name in recipe.trained
    }
    largest = max(scratch, key=lambda what: scratch[what])
    needs.append(Need("TMPDIR", tempfile.gettempdir(), largest, scratch[largest]))
    return [need for need in needs if need.size or need.stays]


def _root_needs(
    recipe: Recipe, root: str, data_files: Iterable[str], ensemble: int, anew: bool
) -> list[Need]:
    """Returns what lies under --root at the moment when that is most: while a variant trains, or in the end."""
    artifacts, work = Path(root, "artifacts"), Path(root, "work")

    def left(size: int, *directories: Path) -> int:
        return size if anew else _left(size, *directories)

    examples = left(
        examples_bytes(data_files, recipe.data.copy_),
        artifacts / "checked",
        artifacts / "YouTube8MExampleGen" / "examples",
    )
    compressor = "Compressor" if recipe.compression.ladder else "Fp16Compressor"
    there, training, moments = {"the examples": examples, "models": 0}, {}, []
    for fold, called, name in _in_order(recipe):
        spec, trainer = recipe.spec_of(recipe.trained[name]), f"{fold}{TRAINER}{called}"
        what = f"the snapshots and the state of {called}"
        size = left(training_bytes(recipe, name), artifacts / trainer, work / trainer)
        training[what] = 0 if not anew and averaged(artifacts / trainer) else size
        # With the stop rule all first halves come before the first of the averagers.
        moments.append({**there, **(training if recipe.halving.enabled else {what: training[what]})})
        if recipe.training_of(name).keep_snapshots:
            there[what] = training[what]
        there["models"] += left(spec.float32_bytes, artifacts / trainer)
        there["models"] += left(spec.float32_bytes, artifacts / f"{fold}CheckpointAverager-{called}")
        stored = sum(stored_bytes(spec, form) for form in recipe.compression.forms)
        there["models"] += left(stored, artifacts / f"{fold}{compressor}-{called}")
    there["models"] += left(ensemble, artifacts / "EnsembleAssembler")
    most = max([*moments, there], key=lambda moment: sum(moment.values()))
    return [Need("--root", root, what, most.get(what, 0), there.get(what, 0)) for what in {**there, **most}]


def _in_order(recipe: Recipe) -> list[tuple[str, str, str]]:
    """Returns what stands before the ids of each model's nodes, what it is called there, and its name in
    `Recipe.trained`, in the order of training.
    """
    groups = (
        ("", {name: name for name in recipe.variants_by_name}),
        (FOLD, fold_labels(recipe)),
        ("", {name: name for name in recipe.students_by_name}),
    )
    return [
        (fold, called, names[called])
        for fold, names in groups
        for called in waits_for(training_work(recipe, names), None)
    ]


def training_bytes(recipe: Recipe, name: str) -> int:
    """Returns the bytes of the snapshots and states of a model of `Recipe.trained` when the last is written."""
    training = recipe.training_of(name)
    if training.start != SCRATCH:
        training = training.warm()
    snapshots = training.snapshot_steps()
    if not training.keep_snapshots and not recipe.halving.enabled:
        snapshots = needed_steps(recipe.averaging, snapshots)
    states = min(_STATES, -(-training.steps // training.state_every))
    return (len(snapshots) + states * _STATE_COPIES) * recipe.spec_of(recipe.trained[name]).float32_bytes


def averages_bytes(recipe: Recipe, name: str) -> int:
    """Returns the least bytes of the averages of a model's snapshots, all of which lie in TMPDIR at the same time."""
    steps = recipe.training_of(name).snapshot_steps()
    ranges = len({one for one in configured_ranges(recipe.averaging, steps) if one.count > 1})
    if recipe.averaging.automatic and len(steps) > _AUTOMATIC_RANGES:
        ranges = max(ranges, _AUTOMATIC_RANGES)
    return ranges * recipe.spec_of(recipe.trained[name]).float32_bytes


def averaged(trainer: Path) -> bool:
    """Whether a Trainer has left a run whose snapshots were removed, which may come from the cache."""
    return any(trainer.glob(f"model_run/*/snapshots/{REMOVED}"))


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


def told(needs: Iterable[Need]) -> str:
    """Returns a line that says what a run takes of each place while it runs, what it leaves, and what is free."""
    parts = []
    places: dict[str, list[Need]] = {}
    for need in needs:
        places.setdefault(need.directory, []).append(need)
    for directory, found in places.items():
        size, stays = sum(need.size for need in found), sum(need.stays for need in found)
        free = shutil.disk_usage(nearest_existing(directory)).free
        while_it_runs = f", {_text(size)} while it runs" if size > stays else ""
        parts.append(f"{directory} {_text(stays)}{while_it_runs} ({_text(free)} are free)")
    return f"disk, without what comes from the cache: {'; '.join(parts)}"


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
