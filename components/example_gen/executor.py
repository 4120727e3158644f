"""The executor of YouTube8MExampleGen: unpacks artifacts, runs the Beam pipeline, fills artifacts."""

import json
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

from components.example_gen.beam_steps import add_steps, read_distributions, read_results
from components.example_gen.convert import ShardResult, ShardTask
from components.example_gen.distribution import Distribution, Distributions
from components.example_gen.driver import span_of
from components.example_gen.report import ExampleGenReport
from components.example_gen.span_window import SpanWindow
from components.example_gen.split import Split, split_files
from components.example_gen.summary import SplitLimits, check_report, summarise
from trainer.base.errors import UserError
from trainer.base.files import expand_labelled, left_out_line, open_file
from trainer.data.manifest import write_manifest

_logger = logging.getLogger("yt8m.example_gen")

_REJECTS = "rejects.jsonl"

CHECKS_KEY = "checks_uri"
"""An exec property: the directory of the kept checks, where it is not in the pipeline root of a local run."""


def checks_directory(uri: str, levels: int) -> str:
    """Returns the directory of the kept checks in the pipeline root.

    Args:
        uri: The directory of an artifact.
        levels: Number of directories between the pipeline root and the artifact, the latter included: a local run has
            ROOT/NODE/KEY/ID.
    """
    for _ in range(levels):
        uri = posixpath.dirname(uri.rstrip("/"))
    return posixpath.join(uri, "checked")


class Executor(BaseBeamExecutor):
    """Checks every input file, in parallel, and writes manifests of `examples` and `summaries`, or copies."""

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
        span = int(exec_properties.get("span") or 0)
        files, left_out = _choose_files(exec_properties, span)
        if left_out:
            _logger.warning("%s", left_out_line(left_out))
        tasks = _tasks(files, examples.uri, summaries.uri, exec_properties)
        results_path = posixpath.join(report.uri, ".staging", "results.json")
        fileio.makedirs(posixpath.dirname(results_path))
        with self._make_beam_pipeline() as pipeline:
            add_steps(pipeline, tasks, results_path)

        results = read_results(results_path)
        content = summarise(results, span, left_out)
        _write(report.uri, content, results)
        _write_distributions(report.uri, read_distributions(results_path), span)
        # TFX deletes the outputs of a failed step, so what a person must look at is kept beside them.
        failed_uri = f"{report.uri.rstrip('/')}-failed"
        try:
            check_report(content, _limits(exec_properties), posixpath.join(failed_uri, _REJECTS))
        except UserError:
            fileio.makedirs(failed_uri)
            _write(failed_uri, content, results)
            raise

        if not exec_properties.get("copy"):
            _write_manifests(examples.uri, summaries.uri, results)
        for directory in staging.values():
            if fileio.exists(directory):
                fileio.rmtree(directory)
        for artifact, payload in (
            (examples, example_gen_pb2.FORMAT_TF_SEQUENCE_EXAMPLE),
            (summaries, example_gen_pb2.FORMAT_TF_EXAMPLE),
        ):
            # No file_format: TFX knows no name for plain TFRecord files, and tells gzip by the ending .gz.
            artifact.split_names = artifact_utils.encode_split_names(list(files))
            artifact.span = span
            examples_utils.set_payload_format(artifact, payload)


def _limits(exec_properties: dict[str, Any]) -> SplitLimits:
    """The limits of a run. A pipeline that was compiled before a limit existed gets the default of that limit."""
    names = [field.name for field in fields(SplitLimits)]
    return SplitLimits(**{name: exec_properties[name] for name in names if name in exec_properties})


def _choose_files(
    exec_properties: dict[str, Any], newest: int
) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    """Expands the patterns, in which the driver has put the spans, and divides the files of each span.

    Each span by itself: a file that was in the eval split once is there in every later run.

    Returns:
        The files of each split with their spans, sorted; and the test files that are left out.
    """
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties["input_config"], config)
    splits: dict[str, list[tuple[str, int]]] = {}
    left_out: list[str] = []
    trained, judged = (_begin(exec_properties.get(f"{key}_spans"), newest) for key in ("trained", "judged"))
    for span in sorted({span_of(one.name, newest) for one in config.splits}):
        patterns = [one for one in config.splits if span_of(one.name, newest) == span]
        split, unlabelled = _choose_files_of_span(exec_properties, patterns)
        left_out += unlabelled
        judging = "holdout" if split.holdout else "eval"
        for name, paths in split.by_name().items():
            if span < trained and (span < judged or name != judging):
                continue  # an earlier span, of which at most the judgement is wanted
            splits.setdefault(name, []).extend((path, span) for path in paths)
    return {name: sorted(files) for name, files in splits.items()}, sorted(left_out)


def _begin(window: str | None, newest: int) -> int:
    """The first span of a window; without one, the newest span alone."""
    return SpanWindow(*json.loads(window)).begin(newest) if window else newest


def _choose_files_of_span(
    exec_properties: dict[str, Any], patterns: list[example_gen_pb2.Input.Split]
) -> tuple[Split, list[str]]:
    base = exec_properties["input_base"]

    def files(kind: str) -> tuple[list[str], list[str]]:
        return expand_labelled(
            posixpath.join(base, split.pattern) for split in patterns if split.name.startswith(kind)
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
    files: dict[str, list[tuple[str, int]]],
    examples_uri: str,
    summaries_uri: str,
    exec_properties: dict[str, Any],
) -> list[ShardTask]:
    return [
        ShardTask(
            path=path,
            split=name,
            index=index,
            count=len(found),
            examples_uri=examples_uri,
            summaries_uri=summaries_uri,
            staging_uri=posixpath.join(examples_uri, ".staging"),
            checks_uri=exec_properties.get(CHECKS_KEY) or checks_directory(examples_uri, levels=3),
            num_classes=exec_properties["num_classes"],
            span=span,
            copy=bool(exec_properties.get("copy")),
        )
        for name, found in files.items()
        for index, (path, span) in enumerate(found)
    ]


def _write_manifests(examples_uri: str, summaries_uri: str, results: list[ShardResult]) -> None:
    for split in sorted({result.split for result in results}):
        found = [result for result in results if result.split == split]
        for uri, files in (
            (examples_uri, [result.examples for result in found]),
            (summaries_uri, [result.summaries for result in found]),
        ):
            directory = posixpath.join(uri, f"Split-{split}")
            fileio.makedirs(directory)
            write_manifest(directory, files)


def _write_distributions(uri: str, found: dict[tuple[str, int], Distribution], newest: int) -> None:
    trained = {span: one for (split, span), one in found.items() if split == "train"}
    if not trained:
        return  # the report says so, and the run stops
    num_classes = len(next(iter(trained.values())).classes)
    total = Distribution.total(trained.values(), num_classes)
    Distributions(trained=total, newest=trained[max(trained)], span=newest).write(uri)


def _write(uri: str, report: ExampleGenReport, results: list[ShardResult]) -> None:
    """Writes report.json, and the rejects of all shards into rejects.jsonl."""
    report.write(uri)
    with open_file(posixpath.join(uri, _REJECTS), "wb") as file:
        for result in results:
            if result.rejects_path:
                with open_file(result.rejects_path, "rb") as part:
                    file.write(part.read())
