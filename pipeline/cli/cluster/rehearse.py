"""The verb ``yt8m rehearse``, which runs a compiled pipeline on this machine as the cluster would."""

import enum
import json
import logging
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options.cluster_options import Force, forced
from pipeline.cli.output import AsJson
from pipeline.rehearsal.backend import BACKENDS, ControllerRetryPolicy

if TYPE_CHECKING:
    from pipeline.rehearsal.outcome import Rehearsal

_logger = logging.getLogger("yt8m.rehearse")


Version = enum.StrEnum("Version", {f"V{version}": version for version in BACKENDS})
_NEWEST = Version("2.17")


class RehearsalFailedError(Exception):
    """A task failed, but not through its input; `log_file` has all that it printed."""

    def __init__(self, message: str, log_file: str | None) -> None:
        super().__init__(message)
        self.log_file = log_file


def rehearse(
    pipeline: Annotated[str, typer.Argument(help="YAML file that yt8m compile wrote.")],
    root: Annotated[
        str,
        typer.Option(
            help="Local directory that takes the place of the pipeline's root; each run gets a directory "
            "of its own in it."
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Sets a parameter of the pipeline, as NAME=VALUE. May be repeated."),
    ] = None,
    kfp: Annotated[
        Version, typer.Option(help="Version of Kubeflow Pipelines whose part is played.")
    ] = _NEWEST,
    max_parallel: Annotated[int, typer.Option(min=1, help="Most tasks that run at the same time.")] = 2,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="Whether to take from the cache what an earlier run under the root has done.",
        ),
    ] = True,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry/--no-retry", help="Whether to start failed tasks again, as often as the file says."
        ),
    ] = True,
    retry_policy: Annotated[
        ControllerRetryPolicy | None,
        typer.Option(
            help="Retry policy of the cluster's workflow controller. Default: that of the version, "
            "OnFailure with 2.14, OnError with 2.17.",
            show_default=False,
        ),
    ] = None,
    longest_wait: Annotated[
        float,
        typer.Option(min=0, help="Most seconds to wait before a retry; a cluster may wait for minutes."),
    ] = 5,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Runs a compiled pipeline on this machine; each task's command becomes a process of this installation.

    Between the tasks it does what the backend does: order, cache, retries, the artifacts' JSON, the download of every
    input. It uses no images and no Kubernetes settings (GPUs, memory); docs/kubeflow.md lists the differences. To play
    a pod that is taken away, end a task's process by `kill PID`; its log has the PID. Any other end than exit code 0
    counts as a failure of the task's container.

    Data are read and models are pushed where the file says; --set push_destination=DIR pushes elsewhere. To compile a
    file for this machine's paths, make the current directory a volume:

    \b
    Example: yt8m compile --recipe demo --image yt8m:1.0 --pipeline-root gs://BUCKET/root --out demo.yaml \\
               --set kubernetes.volumes.here=$PWD
             yt8m rehearse demo.yaml --root rehearsals
    """
    from trainer.base.errors import UserError

    if retry_policy is not None and not retry:
        raise UserError(
            "--retry-policy says after what a task starts again, and --no-retry that none does: give one"
        )
    from pipeline.rehearsal.compiled_file import CompiledFile
    from pipeline.rehearsal.parameters import run_parameters
    from pipeline.rehearsal.rehearse import rehearse as run_here
    from trainer.base.full_disk import chosen_by

    compiled = CompiledFile.read(pipeline)
    parameters = run_parameters(compiled.package, forced(settings, force))
    _logger.info("rehearsing %s", pipeline)
    # Whoever ends this process ends the tasks' processes with it.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with chosen_by("--root", root):
            finished = run_here(
                compiled,
                root,
                parameters,
                backend=BACKENDS[kfp],
                max_parallel=max_parallel,
                cache=cache,
                retry=retry,
                retry_policy=retry_policy,
                longest_wait=longest_wait,
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    places = f"Artifacts: {finished.directory}\nLogs: {finished.logs}"
    total = f"{finished.bytes_downloaded:,} bytes downloaded by the launcher"
    typer.echo(
        json.dumps(finished.as_json(), indent=2) if as_json else f"{finished.table()}\n{total}\n\n{places}"
    )
    _raise_failures(finished)


def _raise_failures(finished: "Rehearsal") -> None:
    from trainer.base.errors import UserError

    failures = [*finished.failures.items()]
    if not failures:
        return
    (_, first), *others = failures
    also = f"; {', '.join(name for name, _ in others)} failed, too" if others else ""
    if first.wrong_input:
        raise UserError(f"{first.reason}{also} (log: {first.log})")
    raise RehearsalFailedError(f"{first.reason}{also}", first.log)
