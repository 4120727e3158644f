"""YouTube8MExampleGen: its specification and its constructor."""

import json
from collections.abc import Sequence
from typing import ClassVar

from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.types.standard_component_specs import FileBasedExampleGenSpec

from components.artifacts import Report
from components.example_gen.driver import Driver
from components.example_gen.executor import CHECKS_KEY, Executor
from components.example_gen.patterns import relative_patterns
from components.example_gen.span_window import SpanWindow
from trainer.data.yt8m import MIN_EVAL_VIDEOS, NUM_CLASSES


class YouTube8MExampleGenSpec(FileBasedExampleGenSpec):
    """The specification of every file-based ExampleGen, with the settings of the splits and two more outputs."""

    PARAMETERS: ClassVar = {
        **FileBasedExampleGenSpec.PARAMETERS,
        "eval_files": ExecutionParameter(type=int),
        "eval_share": ExecutionParameter(type=float),
        # Left out without a holdout, so that what was made before there was one still comes from the cache.
        "holdout_files": ExecutionParameter(type=int, optional=True),
        "seed": ExecutionParameter(type=int),
        "max_reject_share": ExecutionParameter(type=float),
        "max_lost_files": ExecutionParameter(type=int),
        "min_eval_videos": ExecutionParameter(type=int),
        "num_classes": ExecutionParameter(type=int),
        "trained_spans": ExecutionParameter(type=str, optional=True),
        "judged_spans": ExecutionParameter(type=str, optional=True),
        "copy": ExecutionParameter(type=int, optional=True),
        CHECKS_KEY: ExecutionParameter(type=str, optional=True),
    }
    OUTPUTS: ClassVar = {
        **FileBasedExampleGenSpec.OUTPUTS,
        "summaries": ChannelParameter(type=standard_artifacts.Examples),
        "report": ChannelParameter(type=Report),
    }


class YouTube8MExampleGen(FileBasedExampleGen):
    """Reads YouTube-8M files, frame level or video level, validates the videos and divides them into splits.

    The splits are `train` and `eval` and, where it is asked for, `holdout`.

    Outputs:
        examples: For each split a manifest of frame-level files (see `trainer.data.manifest`). Frame-level input files
            stay where they are; video-level and compressed ones are converted once, below the pipeline root. With
            `copy` SequenceExamples, one plain TFRecord file for each input file.
        summaries: The same videos as small tf.Examples with id, labels and num_frames, in the same form.
        report: report.json (see `ExampleGenReport`), and rejects.jsonl with file, offset and reason of every reject.

        example_gen = YouTube8MExampleGen(
            train=["gs://youtube8m/frame/train*.tfrecord"], validate=["gs://youtube8m/frame/validate*.tfrecord"]
        )

    Args:
        train: Patterns of files that are all trained on; may be empty.
        validate: Patterns of files of which a few become the eval split, and the others are trained on (see
            `split_files`). Either all patterns, these and those of `train`, have a `{SPAN}` (or `{YYYY}`, `{MM}`,
            `{DD}`) or none has; the newest span is read, or a window of spans.
        eval_files: Most files of the eval split; the paper's has 60.
        eval_share: Largest share of the validate files that becomes the eval split, 0 to 1.
        holdout_files: Most validate files of the holdout, or patterns of the files that are the holdout; 0 for no
            holdout.
        seed: Seed of the choice of the validate files.
        max_reject_share: Share of lost videos, 0 to 1, above which the step fails.
        max_lost_files: Number of files that cannot be read at all, above which the step fails.
        min_eval_videos: Number of videos of the eval split, and of the holdout, below which the step fails.
        num_classes: Number of classes, V; labels run from 0 to V - 1.
        span: The span that is read instead of the newest.
        trained: The spans that are trained on, instead of the newest alone.
        judged: Further spans, of which only the holdout or, without one, the eval split is read; None for none.
        copy: Whether all videos are written into the artifact, for components that know no manifests.
    """

    SPEC_CLASS = YouTube8MExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        train: Sequence[str],
        validate: Sequence[str],
        *,
        eval_files: int = 60,
        eval_share: float = 0.1,
        holdout_files: int | Sequence[str] = 0,
        seed: int = 0,
        max_reject_share: float = 0.01,
        max_lost_files: int = 0,
        min_eval_videos: int = MIN_EVAL_VIDEOS,
        num_classes: int = NUM_CLASSES,
        span: int | None = None,
        trained: SpanWindow | None = None,
        judged: SpanWindow | None = None,
        copy: bool = False,
    ) -> None:
        holdout = () if isinstance(holdout_files, int) else holdout_files
        patterns = relative_patterns(train, validate, holdout)
        splits = [
            example_gen_pb2.Input.Split(name=f"{kind}-{index}", pattern=pattern)
            for kind, kind_patterns in patterns.by_kind()
            for index, pattern in enumerate(kind_patterns)
        ]
        spec = YouTube8MExampleGenSpec(
            input_base=patterns.base,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=example_gen_pb2.Output(),
            output_data_format=example_gen_pb2.FORMAT_TF_SEQUENCE_EXAMPLE,
            output_file_format=example_gen_pb2.FILE_FORMAT_UNSPECIFIED,
            range_config=_range(span, trained, judged),
            # Left out where it is not asked for, so that a cache knows the step.
            trained_spans=trained and json.dumps(trained),
            judged_spans=judged and json.dumps(judged),
            copy=1 if copy else None,
            eval_files=eval_files,
            eval_share=float(eval_share),
            holdout_files=(holdout_files or None) if isinstance(holdout_files, int) else None,
            seed=seed,
            max_reject_share=float(max_reject_share),
            max_lost_files=max_lost_files,
            min_eval_videos=min_eval_videos,
            num_classes=num_classes,
            examples=Channel(type=standard_artifacts.Examples),
            summaries=Channel(type=standard_artifacts.Examples),
            report=Channel(type=Report),
        )
        # Past FileBasedExampleGen's own constructor, which builds a specification without our outputs.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)


def _range(
    span: int | None, trained: SpanWindow | None, judged: SpanWindow | None
) -> range_config_pb2.RangeConfig | None:
    """Returns the range that the driver looks for files in; the executor leaves out what is in neither window."""
    if span is not None:
        return range_config_pb2.RangeConfig(
            static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        )
    windows = [window for window in (trained, judged) if window]
    if not windows:
        return None
    return range_config_pb2.RangeConfig(
        rolling_range=range_config_pb2.RollingRange(
            start_span_number=min(window.first for window in windows),
            num_spans=max(window.count for window in windows),
        )
    )
