"""Runs the pipeline of a recipe on this machine, with LocalDagRunner, SQLite metadata and local files."""

import datetime
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from absl import logging as absl_logging
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils

from components.run_report.document import RunDocument
from pipeline.dag.build import build_pipeline
from pipeline.dag.graph import depth_first, node_graph
from pipeline.local.captured_output import captured_output
from pipeline.local.node_progress import NodeProgress, NodeTime
from pipeline.local.remedies import remedy
from pipeline.local.run_outputs import NodeOutput, run_outputs
from pipeline.local.run_record import record_error, write_record
from pipeline.local.runs import pushed_version
from pipeline.local.tensorboard_links import DIRECTORY, TensorBoardLinks
from pipeline.recipe.recipe import Recipe
from pipeline.user_errors import error_text, find_user_error
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.run")


class RunFailedError(Exception):
    """A component failed, but not through the user's input. `log_file` has the trace, the text says what to try."""

    def __init__(self, message: str, log_file: str) -> None:
        super().__init__(message)
        self.log_file = log_file


@dataclass(frozen=True)
class LocalRun:
    """A run that went to its end.

    Attributes:
        times: The time of each node, in the order in which they ran.
        outputs: What each node left behind, by node id.
        artifacts: The directory of the artifacts.
        log_file: The path of the libraries' output, with our progress in between.
        tensorboard: The directory for TensorBoard, with one run per variant.
    """

    times: list[NodeTime]
    outputs: dict[str, NodeOutput]
    artifacts: str
    log_file: str
    tensorboard: str

    @property
    def report(self) -> RunDocument:
        """The report that the node RunReport wrote."""
        (uri,) = self.outputs["RunReport"].uris["report"]
        return RunDocument.read(uri)


def run_locally(recipe: Recipe, root: str, verbose: bool = False) -> LocalRun:
    """Runs a recipe's pipeline. What an earlier run under the same root did, unchanged, is not done again.

    The caller holds the lock of the root (`pipeline.local.run_lock`).

    Args:
        recipe: The recipe; its relative paths count from the current directory.
        root: The directory that gets `metadata.sqlite`, `artifacts/`, `logs/`, `tensorboard/`, and, while a Trainer
            runs, `work/`, from which a run that was killed goes on.
        verbose: Whether to show what the libraries print, which otherwise is in the log file alone.

    Raises:
        UserError: If a component says that the input is wrong.
        RunFailedError: If a component fails for another reason.
    """
    base = Path(root).absolute()
    pipeline = build_pipeline(
        recipe.with_absolute_paths(),
        pipeline_root=str(base / "artifacts"),
        work_root=str(base / "work"),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(base / "metadata.sqlite")),
    )
    return run_pipeline(pipeline, base, recipe, verbose)


def run_pipeline(
    pipeline: Pipeline, base: Path, recipe: Recipe | None = None, verbose: bool = False
) -> LocalRun:
    """Runs a pipeline that keeps its metadata and `artifacts/` in a directory.

    Args:
        pipeline: The pipeline.
        base: The directory.
        recipe: The recipe that the pipeline was built from, for the run's record; None if there is none.
        verbose: Whether to show what the libraries print.

    Raises:
        UserError: If a component says that the input is wrong.
        RunFailedError: If a component fails for another reason.
    """
    (base / "logs").mkdir(parents=True, exist_ok=True)
    run_id = datetime.datetime.now().isoformat(timespec="microseconds")
    log_file = str(base / "logs" / f"{run_id.replace(':', '')}.log")
    ir = compiler.Compiler().compile(pipeline)
    # LocalDagRunner would take the time as well, but not tell which it took.
    runtime_parameter_utils.substitute_runtime_parameter(
        ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}
    order = depth_first({name: node.upstream_nodes for name, node in nodes.items()})
    ir.nodes.sort(key=lambda node: order.index(node.pipeline_node.node_info.id))
    progress = NodeProgress(len(ir.nodes), _logger)
    with (
        _no_arguments(),
        captured_output(log_file, verbose),
        _observed_by(progress),
        _linked_for_tensorboard(base) as links,
    ):
        write_record(
            base, run_id, pipeline.pipeline_info.pipeline_name, node_graph(pipeline.components), recipe
        )
        try:
            LocalDagRunner().run_with_ir(ir)
        except KeyboardInterrupt:
            _logger.warning(
                "interrupted in %s; the same command goes on (log: %s)", progress.current, log_file
            )
            raise
        except Exception as error:
            logging.getLogger().error("%s", traceback.format_exc())
            reason = find_user_error(error)
            text = f"{progress.current}: {reason or error_text(error)}"
            if version := _pushed_version(pipeline, run_id):
                text = f"version {version} was pushed, then {text}"
            with suppress(OSError):  # on a full disk there is no room for this either
                record_error(base, run_id, text)
            if reason:
                raise UserError(f"{text} (log: {log_file})") from error
            places = {"--root": str(base), "push.directory": recipe.push.directory if recipe else ""}
            raise RunFailedError(f"{text}; try this: {remedy(error, places)}", log_file) from error
        outputs = run_outputs(pipeline.metadata_connection_config, run_id)
        links.link_outputs(outputs)
    for time in progress.times:
        # A node whose inputs cannot be resolved is logged by TFX and passed over.
        if time.node not in outputs or not outputs[time.node].succeeded:
            text = f"{time.node} was passed over: an input of it is missing"
            record_error(base, run_id, text)
            raise RunFailedError(text, log_file)
    return LocalRun(progress.times, outputs, str(base / "artifacts"), log_file, str(base / DIRECTORY))


def _pushed_version(pipeline: Pipeline, run_id: str) -> int | None:
    """Returns the version that a failed run had pushed; None also if the metadata store cannot be read."""
    try:
        return pushed_version(run_outputs(pipeline.metadata_connection_config, run_id))
    except Exception as error:  # what the run failed of is the news, and not this
        _logger.debug("the metadata store cannot be read: %s", error)
        return None


@contextmanager
def _observed_by(progress: NodeProgress) -> Iterator[None]:
    logger, verbosity = absl_logging.get_absl_logger(), absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    logger.addHandler(progress)
    try:
        yield
    finally:
        logger.removeHandler(progress)
        absl_logging.set_verbosity(verbosity)


@contextmanager
def _linked_for_tensorboard(base: Path) -> Iterator[TensorBoardLinks]:
    links, logger = TensorBoardLinks(base), logging.getLogger("yt8m")
    logger.addHandler(links)
    try:
        yield links
    finally:
        logger.removeHandler(links)


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hides our command line: TFX hands `sys.argv` to its executors, and Beam reads options from it."""
    arguments = sys.argv
    sys.argv = arguments[:1]
    try:
        yield
    finally:
        sys.argv = arguments
