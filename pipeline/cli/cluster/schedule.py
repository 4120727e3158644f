"""The verb ``yt8m schedule``, which lets a cluster start runs by the clock."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options.cluster_options import (
    CaFile,
    Experiment,
    Host,
    IapClientId,
    Namespace,
    Parameters,
    PipelineRoot,
    ServiceAccount,
    Timeout,
    TokenFile,
    check_run_options,
    package_of,
    target_of,
    warn_of_retries,
)
from pipeline.cli.output import AsJson, show_list

if TYPE_CHECKING:
    from pipeline.kubeflow.cluster.target import Target


def schedule(
    file: Annotated[
        str | None, typer.Argument(help="The file that yt8m compile wrote.", metavar="FILE")
    ] = None,
    host: Host = None,
    cron: Annotated[
        str | None,
        typer.Option(
            help="Times of the runs: minute, hour, day of month, month and day of week, in UTC unless the "
            "cluster has another time zone."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the schedule. Default: the pipeline's name.")
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option(min=1, max=10, help="Most runs of the schedule at the same time.")
    ] = 1,
    no_catchup: Annotated[
        bool, typer.Option("--no-catchup", help="After a pause, starts no run for each time that was missed.")
    ] = False,
    experiment: Experiment = None,
    parameters: Parameters = None,
    pipeline_root: PipelineRoot = None,
    service_account: ServiceAccount = None,
    list_: Annotated[bool, typer.Option("--list", help="Lists the schedules.")] = False,
    pause: Annotated[
        str | None, typer.Option(metavar="NAME", help="Lets the schedule of this name start no more runs.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Lets the schedule of this name start runs again.")
    ] = None,
    delete: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Deletes the schedule of this name; its running run goes on."),
    ] = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    iap_client_id: IapClientId = None,
    ca_file: CaFile = None,
    timeout: Timeout = 60,
    as_json: AsJson = False,
) -> None:
    """Lets Kubeflow Pipelines run a compiled pipeline by the clock, or lists, pauses, resumes or deletes schedules.

    A schedule of the same name is replaced; it is kept if the cluster refuses the new one, and its running run goes
    on. Each run reads the newest {SPAN} at its start, and pushes its model if it is good enough against the model that
    is served then.

    \b
    Examples: yt8m schedule yhls.yaml --host URL --cron '0 3 * * 1' --max-concurrency 1 --no-catchup
              yt8m schedule --host URL --pause yhls
    """
    from trainer.base.errors import UserError

    check_run_options(pipeline_root, service_account)
    if sum((file is not None, list_, pause is not None, resume is not None, delete is not None)) != 1:
        raise UserError(
            "give one of FILE, with --cron, --list, --pause NAME, --resume NAME and --delete NAME"
        )
    target = target_of(host, namespace, token_file, iap_client_id, ca_file, timeout)
    if list_:
        _list(target, as_json)
        return
    if file is None:
        _change(target, pause, resume, delete, as_json)
        return
    if cron is None:
        raise UserError("--cron: when? Such as --cron '0 3 * * 1' for Mondays at 3:00")
    from pipeline.kubeflow.cron import six_fields

    fields = six_fields(cron)
    package, settings = package_of(file, experiment, parameters or (), pipeline_root, service_account)
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.schedules import Timing, set_schedule
    from pipeline.kubeflow.cluster.submission import upload

    timing = Timing(cron=fields, max_concurrency=max_concurrency, no_catchup=no_catchup)
    with connected(target) as client:
        version = upload(client, package)
        made = set_schedule(client, package, version, settings, timing, name or package.name)
    warn_of_retries(timeout)
    if as_json:
        typer.echo(json.dumps(made, indent=2))
        return
    replaced = f", instead of {', '.join(made['replaced'])}" if made["replaced"] else ""
    if made["kept"]:
        replaced = (
            f"; {', '.join(made['kept'])}, which it replaces, stays disabled until its run has ended: then the same "
            "command deletes it"
        )
    state = "" if made["state"] == "enabled" else f"; it is paused, as before: --resume {made['name']}"
    typer.echo(f"{made['name']} runs at '{cron}'{replaced}{state}: {made['link']}")


def _list(target: "Target", as_json: bool) -> None:
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.schedules import list_schedules

    with connected(target) as client:
        found = list_schedules(client)
    show_list("schedules", found, _line, "there is no schedule", as_json)


def _line(one: dict[str, Any]) -> str:
    cron = one["cron"] or "not by cron"
    return f"{one['state']:<9} {cron.removeprefix('0 '):<18} {one['name']}  {one['link']}"


def _change(
    target: "Target", pause: str | None, resume: str | None, delete: str | None, as_json: bool
) -> None:
    from pipeline.kubeflow.cluster import schedules
    from pipeline.kubeflow.cluster.api_client import connected

    with connected(target) as client:
        if delete is not None:
            deleted, kept = schedules.delete(client, delete)
            answer = {"deleted": deleted, "kept": kept}
            text = f"{delete} is deleted"
            if kept:
                text = (
                    f"{delete} starts no more runs, but {', '.join(kept)} cannot be deleted before its run has ended: "
                    f"then yt8m schedule --delete {delete} once more"
                )
        elif pause is not None:
            answer, text = {"paused": schedules.pause(client, pause)}, f"{pause} is paused"
        else:
            answer, text = {"resumed": schedules.resume(client, resume)}, f"{resume} is resumed"
    typer.echo(json.dumps(answer, indent=2) if as_json else text)
