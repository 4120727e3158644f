"""What distillation costs: the Teacher against its bare forward pass, and training with a teacher against without.

    python -m tests.benchmarks.distillation --variant K16-H512

The Teacher is the whole step, from files to soft targets, with the start of Beam and the loading of the model. Each
file is scored several times over, as if there were so many more of them.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from components.teacher.config import TeacherConfig
from components.teacher.report import TeacherReport
from components.teacher.teaching import teach
from serving.export.saved_model import Member, write_saved_model
from serving.inference.scoring import SavedModelScorer
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import check_videos, in_turns, write_videos
from trainer.base.memory import keep_freed_memory
from trainer.data.input_pipeline import train_batches
from trainer.data.labels import label_rows
from trainer.data.records import Video, read_videos
from trainer.data.soft_targets import SoftTargets, SoftTargetWriter, TeacherManifest, part_path
from trainer.data.video_ids import digest
from trainer.data.yt8m import MAX_FRAMES, NUM_CLASSES
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights
from trainer.training.config import DistillationConfig, TrainingConfig
from trainer.training.distillation import DistilledTargets, Teacher, TeacherMember
from trainer.training.step import TrainingStep

_SHARDS, _STEPS = 4, 10
_BEAM = ("--direct_num_workers=1", "--direct_running_mode=in_memory")


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    check_videos(arguments.videos, _SHARDS, arguments.batch)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        files = write_videos(place, _SHARDS, arguments.videos // _SHARDS, arguments.frames)
        yield from _teacher(arguments, place, files)
        yield from _training(arguments, place, files)


def _teacher(arguments: argparse.Namespace, place: str, files: Sequence[str]) -> Iterator[Figure]:
    model, target = os.path.join(place, "model"), os.path.join(place, "soft")
    weights = initial_weights(arguments.variant, 0)
    write_saved_model(model, [Member(spec=arguments.variant, weights=weights)])
    config = TeacherConfig(batch_size=arguments.batch)
    scorer = SavedModelScorer(model)
    videos = [video for video in read_videos(files[0]) if isinstance(video, Video)][: arguments.batch]
    scored = arguments.videos * arguments.times

    def taught() -> TeacherReport:
        shutil.rmtree(target, ignore_errors=True)
        options = PipelineOptions(list(_BEAM))
        return teach(
            [model], [*files] * arguments.times, target, config, lambda: beam.Pipeline(options=options)
        )

    turns = {
        "forward": lambda: [scorer.scores(videos) for _ in range(scored // len(videos))],
        "teacher": taught,
    }
    taken = {name: statistics.median(each) for name, each in in_turns(turns, arguments.rounds).items()}
    yield Figure(
        name=f"Teacher step, {arguments.variant}, {arguments.frames} frames, {scored:,} videos",
        value=scored / taken["teacher"],
        unit="videos/s",
        ratio=taken["forward"] / taken["teacher"],
        yardstick=f"its bare forward pass, {scored / taken['forward']:,.0f} videos/s",
        goal=0.8,
    )


def _training(arguments: argparse.Namespace, place: str, files: Sequence[str]) -> Iterator[Figure]:
    directory = os.path.join(place, "full")
    size = _full_soft_targets(directory, files)
    examples = sum(map(os.path.getsize, files))
    yield Figure(
        name="bytes of soft targets, 32 classes of every video",
        value=size / arguments.videos,
        unit="bytes/video",
        ratio=size / examples,
        yardstick=f"frame data, {examples / arguments.videos:,.0f} bytes/video",
        goal=0.02,
        at="most",
    )
    plain = TrainingConfig(
        batch_size=arguments.train_batch, frames_per_video=arguments.frames, shuffle_buffer=64
    )
    distilled = plain.model_copy(update={"distillation": DistillationConfig()})
    targets = DistilledTargets(SoftTargets(directory), distilled.distillation, NUM_CLASSES)
    consistent = plain.model_copy(update={"distillation": DistillationConfig(consistent=True)})
    teacher = Teacher([TeacherMember(arguments.variant, initial_weights(arguments.variant, 1), 1.0)], "")
    turns = {
        "plain": _steps(arguments.variant, plain, files),
        "distilled": _steps(arguments.variant, distilled, files, targets),
        "consistent": _steps(arguments.variant, consistent, files, teacher=teacher),
    }
    taken = {name: statistics.median(each) for name, each in in_turns(turns, arguments.rounds * 3).items()}
    speeds = {name: _STEPS * plain.batch_size / seconds for name, seconds in taken.items()}
    said = f"{arguments.variant}, batch {plain.batch_size}, {arguments.frames} frames"
    for turn, name, goal in (
        ("distilled", f"training with soft targets, {said}", 0.97),
        ("consistent", f"training with a consistent teacher of its own size, {said}", None),
    ):
        yield Figure(
            name=name,
            value=speeds[turn],
            unit="videos/s",
            ratio=speeds[turn] / speeds["plain"],
            yardstick=f"training without, {speeds['plain']:,.0f} videos/s",
            goal=goal,
        )


def _full_soft_targets(directory: str, files: Sequence[str]) -> int:
    """Writes as many classes of each video as there can be; returns the bytes."""
    TeacherManifest(
        models=("",),
        num_classes=NUM_CLASSES,
        threshold=0.001,
        max_classes=32,
        files=tuple((f, 0) for f in files),
    ).write(directory)
    for index, path in enumerate(files):
        with SoftTargetWriter(part_path(directory, index), 0.001) as writer:
            for video in read_videos(path):
                generator = np.random.default_rng(list(digest(video.id)))
                writer.add([video.id], generator.random((1, NUM_CLASSES), np.float32))
    return sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory))


def _steps(
    spec: ModelSpec,
    config: TrainingConfig,
    files: Sequence[str],
    targets: Callable[..., np.ndarray] = label_rows,
    teacher: Teacher | None = None,
) -> Callable[[], None]:
    step, batches = TrainingStep(spec, config, teacher=teacher), train_batches(
        files, batch_size=config.batch_size, frames_per_video=config.frames_per_video, seed=0,
        shuffle_buffer=config.shuffle_buffer, files_per_group=_SHARDS, targets=targets,
    )  # fmt: skip

    def run() -> None:
        for number in range(_STEPS):
            float(step.run(next(batches), number).loss)

    return run


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", type=ModelSpec.parse, default="K16-H512")
    parser.add_argument("--videos", type=whole(), default=320)
    parser.add_argument("--times", type=whole(), default=8, help="how often each file is scored")
    parser.add_argument("--batch", type=whole(), default=64)
    parser.add_argument("--train-batch", type=whole(), default=80)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=300)
    parser.add_argument("--rounds", type=whole(), default=3)


if __name__ == "__main__":
    main(__doc__, figures, _options)
