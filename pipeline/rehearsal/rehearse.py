"""Runs the tasks of a compiled pipeline in their order, some at the same time."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from google.protobuf.struct_pb2 import Value

from pipeline.rehearsal.arguments import check_root_argument
from pipeline.rehearsal.artifacts import ArtifactStore
from pipeline.rehearsal.backend import BACKENDS, DEFAULT_ROOT, Backend, ControllerRetryPolicy
from pipeline.rehearsal.compiled_file import CompiledFile
from pipeline.rehearsal.graph import Task, read_tasks
from pipeline.rehearsal.launcher import Launcher
from pipeline.rehearsal.metadata_store import MetadataStore
from pipeline.rehearsal.outcome import Outcome, Rehearsal
from pipeline.rehearsal.parameters import Run, task_parameters
from pipeline.rehearsal.processes import Processes
from trainer.base.addresses import check_local
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.rehearse")


def rehearse(
    compiled: CompiledFile,
    root: str,
    parameters: Mapping[str, Value],
    *,
    backend: Backend = BACKENDS["2.17"],
    max_parallel: int = 2,
    cache: bool = True,
    retry: bool = True,
    retry_policy: ControllerRetryPolicy | None = None,
    longest_wait: float = 5,
) -> Rehearsal:
    """Runs a compiled pipeline on this machine.

    Args:
        compiled: The pipeline.
        root: The local directory that takes the place of the pipeline's root. A run gets a directory of its own in it,
            and all runs share its metadata and cache.
        parameters: The values of the pipeline's parameters, by name; see `run_parameters`.
        backend: The version of Kubeflow Pipelines whose part is played.
        max_parallel: The most tasks at the same time.
        cache: Whether a task that an earlier run has done is not done again, if the file allows it.
        retry: Whether failed tasks start again, as their policies say.
        retry_policy: The policy of the cluster's workflow controller; None for the default of the backend.
        longest_wait: The most seconds that a retry waits, whatever its policy says.

    Returns:
        The outcomes of the tasks. After the first failure no further task is started.

    Raises:
        UserError: If the pipeline cannot be run here.
    """
    check_local(root, "--root")
    tasks = read_tasks(compiled)
    run = Run(compiled.spec.pipeline_info.name, parameters)
    for task in tasks.values():
        _check_runs_here(task, run, compiled.mounts)
    if told := check_root_argument(compiled.spec.root, backend):
        _logger.info("%s", told)
    directory = os.path.join(os.path.abspath(root), run.pipeline, run.id)
    try:
        os.makedirs(directory)
    except OSError as error:
        raise UserError(f"--root {root}: {error.strerror}; name a directory of this machine") from error
    processes = Processes()
    pipeline_root = (compiled.package.pipeline_root or DEFAULT_ROOT).rstrip("/")
    launcher = Launcher(
        backend=backend,
        run=run,
        directory=directory,
        pipeline_root=f"{pipeline_root}/{run.pipeline}",
        store=ArtifactStore(MetadataStore(os.path.abspath(root)), run.pipeline, pipeline_root),
        processes=processes,
        cache=cache,
        retry_policy=(retry_policy or backend.retry_policy) if retry else None,
        longest_wait=longest_wait,
    )
    _logger.info(
        "run %s of %s: %d tasks, as Kubeflow Pipelines %s with retryPolicy %s",
        run.id, run.pipeline, len(tasks), backend.version, launcher.retry_policy or "switched off",
    )  # fmt: skip
    with ThreadPoolExecutor(max_parallel) as pool:
        try:
            outcomes = _in_order(
                tasks, launcher.skips, lambda task: pool.submit(launcher.perform, task), max_parallel
            )
        except BaseException:
            # An interruption, too: nothing goes on without this process.
            _logger.info("ending the tasks that are running; their logs stay in %s", directory)
            processes.stop()
            raise
    return Rehearsal(run.pipeline, run.id, directory, {name: outcomes[name] for name in tasks})


def _in_order(
    tasks: Mapping[str, Task],
    skips: Callable[[Task], bool],
    start: Callable[[Task], Future[Outcome]],
    max_parallel: int,
) -> dict[str, Outcome]:
    """Starts each task when those before it are done, and none after one has failed (Argo's failFast).

    A task whose condition does not hold is skipped.
    """
    outcomes: dict[str, Outcome] = {}
    running: dict[Future[Outcome], str] = {}
    waiting = dict(tasks)
    while True:
        for name, task in [*waiting.items()]:
            if not all(_is_done(outcomes.get(other)) for other in task.upstream):
                continue
            if max_parallel and skips(task):
                outcomes[name] = Outcome("skipped")
                del waiting[name]
            elif len(running) < max_parallel:
                _logger.info("[%2d/%d] %s ...", len(outcomes) + len(running) + 1, len(tasks), name)
                running[start(task)] = name
                del waiting[name]
        if not running:
            return outcomes | dict.fromkeys(waiting, Outcome("not run"))
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            name = running.pop(future)
            outcomes[name] = outcome = future.result()
            _logger.info("[%2d/%d] %s", len(outcomes), len(tasks), _line(name, outcome))
            if outcome.state == "failed":
                max_parallel = 0


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.state in ("succeeded", "cached", "skipped")


def _line(name: str, outcome: Outcome) -> str:
    if outcome.state == "succeeded":
        return f"{name} done: {outcome.seconds:.1f} s, {outcome.bytes_downloaded:,} bytes downloaded"
    return f"{name} {outcome.state}" + (f": {outcome.reason}" if outcome.reason else "")


def _check_runs_here(task: Task, run: Run, mounts: Mapping[str, str]) -> None:
    """Refuses at once what would fail hours later: places that only the cluster has.

    Raises:
        UserError: If a path is on a volume that this machine does not have, or a step's workers are Dataflow's.
    """
    if "--runner=DataflowRunner" in task.command:
        raise UserError(
            f"{task.name} runs on Dataflow, whose workers do not see this machine's --root; compile with "
            "--set beam.runner=DirectRunner"
        )
    for name, value in task_parameters(task, run).items():
        for path, claim in mounts.items():
            on_it = re.search(rf"(?<![\w./-]){re.escape(path.rstrip('/'))}/", value.string_value)
            if on_it and not os.path.isdir(path):
                raise UserError(
                    f"{task.name}: {name} lies on the volume {claim}, which pods see at {path}; here is no such "
                    f"directory. Make it, compile with kubernetes.volumes.{claim} set to a directory of this machine"
                    + (f", or say --set {name}=..." if name in run.parameters else "")
                )
