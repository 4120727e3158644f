"""YouTube8MExampleGen: its specification and its constructor."""

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
from components.example_gen.executor import Executor
from components.example_gen.patterns import relative_patterns
from trainer.data.yt8m import MIN_EVAL_VIDEOS, NUM_CLASSES


class YouTube8MExampleGenSpec(FileBasedExampleGenSpec):
    """What every file-based ExampleGen has, the split's settings, and two more outputs."""

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
    }
    OUTPUTS: ClassVar = {
        **FileBasedExampleGenSpec.OUTPUTS,
        "summaries": ChannelParameter(type=standard_artifacts.Examples),
        "report": ChannelParameter(type=Report),
    }


class YouTube8MExampleGen(FileBasedExampleGen):
    """YouTube-8M files, frame level or video level, to validated SequenceExamples in the splits `train` and
    `eval` and, where it is asked for, `holdout`.

    Outputs: `examples` (SequenceExamples, plain TFRecord files, one an input file), `summaries` (the same
    videos as light tf.Examples id, labels, num_frames), `report` (report.json as `summary.summarise` makes
    it, rejects.jsonl with file, offset and reason of every reject).

    Args:
        train: Patterns of files that are all trained on; may be empty. validate: Patterns of files of which
        a few become the eval split (`split.split_files`). Either all patterns have
            a `{SPAN}` (or `{YYYY}`, `{MM}`, `{DD}`) or none; the newest span is read.
        eval_files: Most files of the eval split; the paper's is 60.
        eval_share: Largest share of the validate files for it.
        holdout_files: Most validate files of the holdout, or patterns of files that are the holdout; 0 for none.
        seed: Of the choice.
        max_reject_share: Share of lost videos above which the step fails.
        max_lost_files: Number of files that cannot be read at all above which it fails.
        min_eval_videos: Number of videos of the eval split below which it fails.
        num_classes: Labels run from 0 to one less.
        span: Read this span instead of the newest.
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
            range_config=None if span is None else _only(span),
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


def _only(span: int) -> range_config_pb2.RangeConfig:
    return range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    )
