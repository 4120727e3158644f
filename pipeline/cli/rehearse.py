"""``yt8m rehearse``: a compiled pipeline on this machine, as the cluster would run it."""

import enum
import json
import logging
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.rehearsal.backend import BACKENDS, ControllerRetryPolicy

if TYPE_CHECKING:
    from pipeline.rehearsal.outcome import Rehearsal

_logger = logging.getLogger("yt8m.rehearse")


Version = enum.StrEnum("Version", {f"V{version}": version for version in BACKENDS})
_NEWEST = Version("2.17")


class RehearsalFailedError(Exception):
    """A task failed for another reason than its input; `log_file` has all that it printed."""

    def __init__(self, message: str, log_file: str | None) -> None:
        super().__init__(message)
        self.log_file = log_file


def rehearse(
    pipeline: Annotated[str, typer.Argument(help="YAML file that yt8m compile has written.")],
    root: Annotated[
        str, typer.Option(help="Directory in the place of the pipeline's root; a run gets its own in it.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value of a parameter of the pipeline; may be repeated."),
    ] = None,
    kfp: Annotated[
        Version, typer.Option(help="Version of Kubeflow Pipelines whose part is played.")
    ] = _NEWEST,
    max_parallel: Annotated[int, typer.Option(min=1, help="Tasks that run at the same time.")] = 2,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache", help="Take from the cache what an earlier run under the root has done."
        ),
    ] = True,
    retry: Annotated[
        bool, typer.Option("--retry/--no-retry", help="Start failed tasks again, as often as the file says.")
    ] = True,
    retry_policy: Annotated[
        ControllerRetryPolicy | None,
        typer.Option(
            help="Of the cluster's workflow controller; by default what comes with the version: OnFailure with 2.14, "
            "OnError with 2.17.",
            show_default=False,
        ),
    ] = None,
    longest_wait: Annotated[
        float,
        typer.Option(min=0, help="Most seconds before a retry, where the cluster may wait for minutes."),
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Runs a compiled pipeline here, each task's command a process of this installation.

    What the backend does between the tasks is done as it does it: order, cache, retries, the artifacts' JSON, the
    download of every input. Not done: images and Kubernetes' settings (GPUs, memory). docs/kubeflow.md lists what
    differs. A task whose process ends by `kill PID` (its log has the PID) is one whose pod was taken away; any other
    end but exit code 0 is a failure of its container.
    Data are read and models pushed where the file says; to push elsewhere, --set push_destination=DIR. A file for
    this machine's paths comes of a volume that is the current directory:

    \b
    Example: yt8m compile --recipe demo --image yt8m:1.0 --pipeline-root gs://BUCKET/root --out demo.yaml \\
               --set kubernetes.volumes.here=$PWD
             yt8m rehearse demo.yaml --root rehearsals
    """
    _logger.info("reading %s", pipeline)
    from pipeline.rehearsal.compiled_file import CompiledFile
    from pipeline.rehearsal.parameters import run_parameters
    from pipeline.rehearsal.rehearse import rehearse as run_here

    compiled = CompiledFile.read(pipeline)
    parameters = run_parameters(compiled.package, settings or ())
    # Whoever ends this process ends the tasks' processes with it.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
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
