"""The executor of YouTube8MExampleGen: unpacks artifacts, runs the Beam pipeline, fills artifacts."""

import logging
import posixpath
from dataclasses import fields
from typing import Any

from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.example_gen.beam_steps import add_steps, read_results
from components.example_gen.convert import ShardResult, ShardTask
from components.example_gen.split import Split, split_files
from components.example_gen.summary import SplitLimits, check_report, summarise
from components.report_file import write_report
from trainer.base.errors import UserError
from trainer.base.files import expand_labelled, left_out_line, open_file

_logger = logging.getLogger("yt8m.example_gen")

_REJECTS = "rejects.jsonl"


class Executor(BaseBeamExecutor):
    """Converts every input file to one shard of `examples` and one of `summaries`, in parallel."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the step.

        Raises:
            UserError: Patterns match nothing, a split would have too few videos, or more is lost than allowed.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        (examples,), (summaries,), (report,) = (
            output_dict[key] for key in ("examples", "summaries", "report")
        )
        staging = {artifact.uri: posixpath.join(artifact.uri, ".staging") for artifact in (examples, report)}
        split, left_out = _choose_files(exec_properties)
        if left_out:
            _logger.warning("%s", left_out_line(left_out))
        tasks = _tasks(split, examples.uri, summaries.uri, exec_properties)
        results_path = posixpath.join(report.uri, ".staging", "results.json")
        fileio.makedirs(posixpath.dirname(results_path))
        with self._make_beam_pipeline() as pipeline:
            add_steps(pipeline, tasks, results_path)

        results = read_results(results_path)
        span = int(exec_properties.get("span") or 0)
        content = summarise(results, span, left_out)
        _write(report.uri, content, results)
        # TFX deletes the outputs of a failed step, so what a person must look at is kept beside them.
        failed_uri = f"{report.uri.rstrip('/')}-failed"
        try:
            check_report(content, _limits(exec_properties), posixpath.join(failed_uri, _REJECTS))
        except UserError:
            fileio.makedirs(failed_uri)
            _write(failed_uri, content, results)
            raise

        for directory in staging.values():
            if fileio.exists(directory):
                fileio.rmtree(directory)
        for artifact, payload in (
            (examples, example_gen_pb2.FORMAT_TF_SEQUENCE_EXAMPLE),
            (summaries, example_gen_pb2.FORMAT_TF_EXAMPLE),
        ):
            # No file_format: TFX knows no name for plain TFRecord files, and tells gzip by the ending .gz.
            artifact.split_names = artifact_utils.encode_split_names(list(split.by_name()))
            artifact.span = span
            examples_utils.set_payload_format(artifact, payload)


def _limits(exec_properties: dict[str, Any]) -> SplitLimits:
    """A pipeline that was compiled before a limit was there has that limit's default."""
    names = [field.name for field in fields(SplitLimits)]
    return SplitLimits(**{name: exec_properties[name] for name in names if name in exec_properties})


def _choose_files(exec_properties: dict[str, Any]) -> tuple[Split, list[str]]:
    """Expands the patterns, in which the driver has put the span, and divides the files.

    Returns:
        The split, and the test files that are left out.
    """
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties["input_config"], config)
    base = exec_properties["input_base"]

    def files(kind: str) -> tuple[list[str], list[str]]:
        return expand_labelled(
            posixpath.join(base, split.pattern) for split in config.splits if split.name.startswith(kind)
        )

    kinds = ("train", "validate", "holdout")
    (train, left_out), (validate, more), (holdout, most) = (files(kind) for kind in kinds)
    split = split_files(
        train,
        validate,
        holdout,
        eval_files=exec_properties["eval_files"],
        eval_share=exec_properties["eval_share"],
        holdout_files=exec_properties.get("holdout_files") or 0,
        seed=exec_properties["seed"],
    )
    return split, sorted({*left_out, *more, *most} - {*train, *validate, *holdout})


def _tasks(
    split: Split, examples_uri: str, summaries_uri: str, exec_properties: dict[str, Any]
) -> list[ShardTask]:
    return [
        ShardTask(
            path=path,
            split=name,
            index=index,
            count=len(paths),
            examples_uri=examples_uri,
            summaries_uri=summaries_uri,
            staging_uri=posixpath.join(examples_uri, ".staging"),
            num_classes=exec_properties["num_classes"],
        )
        for name, paths in split.by_name().items()
        for index, path in enumerate(paths)
    ]


def _write(uri: str, report: dict[str, Any], results: list[ShardResult]) -> None:
    """report.json, and the rejects of all shards in rejects.jsonl."""
    write_report(uri, report)
    with open_file(posixpath.join(uri, _REJECTS), "wb") as file:
        for result in results:
            if result.rejects_path:
                with open_file(result.rejects_path, "rb") as part:
                    file.write(part.read())
