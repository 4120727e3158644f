"""Checks this machine before a run begins: seconds now, in place of days that end in nothing."""

import itertools
import logging
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from components.example_gen.patterns import relative_patterns
from components.example_gen.split import split_files
from pipeline.local.database import check_database
from pipeline.local.disk_space import check_room, run_needs, told
from pipeline.local.run_lock import check_free
from pipeline.recipe.data_section import DataSection
from pipeline.recipe.recipe import Recipe
from serving.export.vocabulary import Vocabulary
from serving.store.model_store import list_versions, versions_below, whole_model_path
from trainer.base.directories import write_problem
from trainer.base.errors import UserError
from trainer.base.files import expand, expand_labelled, file_kind, file_size, is_local, list_names
from trainer.data.foreign_files import foreign_file
from trainer.data.record_parts import Parts
from trainer.data.records import Reject, read_parts
from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE

_logger = logging.getLogger("yt8m.run")

SAMPLE = "data/demo"
"""Directory of the data of the recipe demo, which make demo writes."""
_OF_A_RUN = ("artifacts", "logs", "tensorboard")
"""What a run makes in its own directory."""
_NO_RUNS = re.compile(r"(\d+/)?saved_model\.pb|[^/]*\.tfrecord(\.gz)?")
_NO_VERSIONS = re.compile(r"saved_model\.pb|metadata\.sqlite|[^/]*\.tfrecord(\.gz)?")
"""Files of a model, of its versions, of data and of runs, none of which is in such a directory."""
_HEADS, _HEAD = 5, 20
"""Most files that are looked into for their labels, and the records at the head of each."""


def check_before_run(recipe: Recipe, root: str) -> None:
    """Refuses a run that could not reach its end, the quickest checks first.

    Args:
        recipe: The recipe; its relative paths count from the current directory.
        root: The directory of the run.

    Raises:
        UserError: If files are missing or cannot be divided into splits, a directory cannot be written to, another run
            is using the root, its database is damaged, a batch does not fit into the memory, a disk has too little
            room, a model that the recipe names is not whole or of other classes, most labels or the vocabulary are of
            other classes, or the served model is of other classes or cannot be compared with.
    """
    if recipe.beam.runner == "DataflowRunner":
        raise UserError(
            "beam.runner: yt8m run keeps artifacts on this machine, which Dataflow's workers do not see; use "
            "yt8m compile, or --set beam.runner=DirectRunner"
        )
    recipe.beam.pipeline_args  # noqa: B018 (says what is missing)
    recipe.beam.check_reachable()
    _check_vocabulary(recipe)
    models = _given_models(recipe)
    _check_directories(recipe, root)
    check_free(Path(root))
    check_database(Path(root))
    _check_memory(recipe)
    files = _data_files(recipe)
    check_room(run_needs(recipe, root, files))
    _check_models(models, recipe.data.num_classes)
    _check_labels(files, recipe)
    _check_push(recipe)
    # Last: a run that is refused is told of in one line.
    _logger.info("%s", told(run_needs(recipe, root, files, anew=True)))


def _given_models(recipe: Recipe) -> list[str]:
    """Returns the paths of the models that teach or are started from, but for the one that is served."""
    starts = [start for name in recipe.trained if (start := recipe.start_of(name))]
    given = {start: "training.start" for start in starts if start != recipe.push.directory}
    if recipe.teacher.directory:
        given = {recipe.teacher.directory: "teacher.directory"} | given
    paths = []
    for directory, key in given.items():
        with _of(key):
            paths.append(whole_model_path(directory))
    return paths


@contextmanager
def _of(key: str, advice: str = "") -> Iterator[None]:
    """Names the key of the recipe that is at fault in an error of the block, and adds what to do about it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{key}: {error}{advice}") from error


def _matching(data: DataSection) -> list[str]:
    """Returns the files that the patterns match, of every span; UserError where one matches none."""
    found: set[str] = set()
    for key, patterns in (
        ("data.train (or --train)", data.train),
        ("data.validate (or --validate, --data)", data.validate_),
        ("data.holdout_files", data.holdout_patterns),
    ):
        absent = patterns and patterns[0].startswith(f"{SAMPLE}/") and not os.path.isdir(SAMPLE)
        with _of(key, f"; yt8m data sample {SAMPLE} writes the sample" if absent else ""):
            found.update(expand(re.sub(r"\{[A-Z]+(:\d+)?\}", "*", pattern) for pattern in patterns))
    return sorted(found)


def _check_models(paths: list[str], num_classes: int) -> None:
    """Checks that SavedModels are of this project, of as many classes, and have all of their files at their lengths."""
    if not paths:
        return
    # TensorFlow: seconds that nobody waits for where no model is given.
    from serving.export.card import ModelCard
    from serving.store.whole_model import check_model

    for path in paths:
        card = ModelCard.load(path)
        if card.num_classes != num_classes:
            raise UserError(
                f"{path} has {card.num_classes} classes, and data.num_classes is {num_classes}: give a model of the "
                "same classes, or set data.num_classes"
            )
        check_model(path)


def _data_files(recipe: Recipe) -> list[str]:
    """Returns the files that the patterns match, of every span.

    Raises:
        UserError: If their sizes and first bytes show that too many are lost, or they cannot be divided into splits.
    """
    data = recipe.data
    files = _matching(data)
    patterns = relative_patterns(data.train, data.validate_, data.holdout_patterns)
    # Of a pattern with a span only the newest is read, and TFX finds out which. A bucket is not asked for the sizes one
    # by one.
    read = [
        expand_labelled(posixpath.join(patterns.base, one) for one in kind if "{" not in one)[0]
        for _, kind in patterns.by_kind()
    ]
    local = filter(is_local, sorted(set().union(*read)))
    lost = [f"{path} ({what})" for path in local if (what := _no_tfrecords(path))]
    if len(lost) > data.max_lost_files:
        raise UserError(
            f"{len(lost)} data file(s) are no TFRecord files, more than the {data.max_lost_files} lost files allowed: "
            f"{', '.join(lost[:3])}{' ...' if len(lost) > 3 else ''}; give a pattern without them, fetch them again, "
            "or raise data.max_lost_files"
        )
    if not any("{" in pattern for pattern in data.patterns):
        split = split_files(
            *read,
            eval_files=data.eval_files,
            eval_share=data.eval_share,
            holdout_files=0 if data.holdout_patterns else data.holdout_files,
            seed=data.seed,
        )
        _check_enough(split.train, recipe)
    return files


def _no_tfrecords(path: str) -> str | None:
    return foreign_file(path) if file_size(path) else "no bytes"


def _check_enough(files: Sequence[str], recipe: Recipe) -> None:
    """Refuses more processes of a Trainer, or folds of the teacher, than there are train files to divide."""
    trainings = map(recipe.training_of, recipe.trained)
    needed = {
        # Of soft targets one process knows.
        "training.input_processes": max(
            1 if one.uses_soft_targets else one.input_processes for one in trainings
        ),
        "teacher.folds": recipe.teacher.folds,
    }
    for key, number in needed.items():
        if number > len(files):
            raise UserError(
                f"{key}: {number} need as many train files, and there are {len(files)}: set a smaller number, or give "
                "the videos in more files"
            )


def _check_labels(files: Sequence[str], recipe: Recipe) -> None:
    """Reads the first videos of some files: most have a wrong label where the data are of more classes than the recipe.

    Where none of them has a label at all, the first video of every file is asked for its own.
    ExampleGen, which reads all, would say so after TFX has started. What is wrong with few videos is left to it.
    """
    data = recipe.data
    tests = {path for path in files if file_kind(path) == "test"}
    local = [path for path in files if is_local(path) and (path not in tests or len(tests) == len(files))]
    spread = local[:: len(local) // _HEADS + 1]
    found = [item for path in spread for item in itertools.islice(read_parts(path, data.num_classes), _HEAD)]
    wrong = [item for item in found if isinstance(item, Reject) and item.reason == "label_out_of_range"]
    if len(wrong) > max(0.5, data.max_reject_share) * len(found):
        source = "the teacher's classes" if recipe.teacher.directory else "data.num_classes"
        raise UserError(
            f"{len(wrong)} of the first {len(found)} videos have a label that is none of {source}, {data.num_classes}: "
            f"{wrong[0].file}, byte {wrong[0].offset}: {wrong[0].detail}; give files of these classes, or else "
            f"{'another teacher' if recipe.teacher.directory else 'set data.num_classes'}"
        )
    if found and not any(map(_has_labels, found)):
        firsts = [item for path in local for item in itertools.islice(read_parts(path, data.num_classes), 1)]
        if not any(map(_has_labels, firsts)):
            raise UserError(
                f"the first videos of all {len(local)} files have no labels, as in the test files of the data set: "
                f"{local[0]}; give files to train on"
            )


def _has_labels(item: tuple[Parts, int] | Reject) -> bool:
    """Whether a record has labels, as one that cannot be read may have."""
    return isinstance(item, Reject) or bool(item[0].labels)


def _check_vocabulary(recipe: Recipe) -> None:
    data = recipe.data
    if not data.vocabulary:
        return
    last = max(Vocabulary.load(data.vocabulary).names, default=0)
    if last >= data.num_classes:
        raise UserError(
            f"data.vocabulary: {data.vocabulary} names class {last}, and data.num_classes is {data.num_classes}: its "
            "names are of other classes; give the vocabulary of these, or set data.num_classes"
        )


def _check_directories(recipe: Recipe, root: str) -> None:
    try:
        scratch = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(f"TMPDIR: {error.strerror or error}; make a directory and name it there") from error
    if (named := os.environ.get("TMPDIR")) and not os.path.isdir(named):
        # Python takes /tmp then, which may have no room, and says nothing.
        raise UserError(f"TMPDIR: there is no directory {named}; make it, or name another one")
    places = {"--root": root, "push.directory": recipe.push.directory, "TMPDIR": scratch}
    for place, directory in places.items():
        if is_local(directory) and (problem := write_problem(directory)):
            raise UserError(f"{place}: {problem}; give another directory")
    _check_kinds(root, recipe.push.directory)


def _check_kinds(root: str, directory: str) -> None:
    """Refuses a root, or a directory for versions, that is one of another kind: of data, of a model, of the other."""
    for place, path, others in (("--root", root, _NO_RUNS), ("push.directory", directory, _NO_VERSIONS)):
        if not is_local(path):
            continue
        inside = [f"{one.parent.name}/{one.name}" for one in Path(path).glob("*/saved_model.pb")]
        if found := sorted(filter(others.fullmatch, [*list_names(path), *inside])):
            raise UserError(
                f"{place}: {path} holds {found[0]}, so it is there for something else: give another"
            )
    if is_local(directory) and not list_versions(directory) and (hint := versions_below(directory)):
        raise UserError(
            f"push.directory: {directory} has no versions{hint}: give that, or a directory of its own, "
            "since a candidate is compared with what is served from the same directory"
        )
    if is_local(directory) and os.path.relpath(directory, root).split(os.sep)[0] in (os.curdir, *_OF_A_RUN):
        raise UserError(
            f"push.directory: {directory} is a part of the run's own directory {root}, which yt8m runs prune clears: "
            "give another directory"
        )


def _check_memory(recipe: Recipe) -> None:
    """Compares a batch of frames as bytes, the least that a step needs, with all of this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in recipe.trained:
        training = recipe.training_of(name)
        size = training.largest_batch * training.frames_per_video * (RGB_SIZE + AUDIO_SIZE)
        if size > memory:
            raise UserError(
                f"training.batch_size: one batch of {training.largest_batch:,} videos with "
                f"{training.frames_per_video:,} frames takes {size / 2**30:,.0f} GiB, and this machine has "
                f"{memory / 2**30:,.0f} GiB of memory; take a smaller batch"
            )


def _check_push(recipe: Recipe) -> None:
    """Checks that the served model can be compared with, and that a bucket can be written to."""
    from components.baseline.served import check_served_model
    from serving.store.model_store import open_store

    if not is_local(recipe.push.directory):
        open_store(recipe.push.directory).check_writable()
    check_served_model(recipe.push.directory, recipe.data.num_classes)
