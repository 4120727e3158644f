"""The Evaluator component: TFX's, with this project's metrics, slices, thresholds and size limit."""

import json

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types import standard_component_specs as keys
from tfx.types.component_spec import ExecutionParameter

from components.evaluator import executor
from components.evaluator.eval_config import make_eval_config


class EvaluatorSpec(keys.EvaluatorSpec):
    """TFX's specification with one more parameter, the size limit."""

    PARAMETERS = {  # noqa: RUF012 (TFX's form)
        **keys.EvaluatorSpec.PARAMETERS,
        executor.LIMIT_BYTES_KEY: ExecutionParameter(type=int),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures a candidate on one split, overall and by slice, and blesses it or says why not.

    Outputs: `evaluation` (TFMA's files and results.json, see `EvaluationResults`) and `blessing` (TFX's and
    blessing_reasons.json, see `Verdict`).

        evaluator = Evaluator(
            examples=example_gen.outputs["examples"],
            model=assembler.outputs["model"],
            baseline_model=baseline.outputs["model"],
            gap_floor=0.8,
            max_gap_drop=0.001,
            limit_bytes=1024 * MIB,
        )
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        baseline_model: channel.BaseChannel | None = None,
        gap_floor: float,
        max_gap_drop: float,
        limit_bytes: int,
        split: str = "eval",
    ) -> None:
        """Builds the node.

        Args:
            examples: SequenceExamples that have the split.
            model: The model that is to be pushed.
            baseline_model: The model that is served now; None, or a channel without an artifact, on the first run.
            gap_floor: Least GAP of a blessed model, 0 to 1.
            max_gap_drop: How far its GAP may lie below that of the baseline, 0 to 1.
            limit_bytes: Largest size in bytes, of the tensors and of the directory.
            split: The split that candidate and baseline are measured on: `holdout` where there is one, since averages,
                members and weights were chosen on `eval`.
        """
        super().__init__(
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                eval_config=make_eval_config(gap_floor, max_gap_drop),
                example_splits=json.dumps([split]),
                limit_bytes=limit_bytes,
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
