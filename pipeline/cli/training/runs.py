"""The verb ``yt8m runs``, which lists the runs of this machine or of a cluster."""

import json
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options.cluster_options import (
    CaFile,
    Host,
    IapClientId,
    Namespace,
    Timeout,
    TokenFile,
    target_of,
)
from pipeline.cli.output import AsJson, show_list

if TYPE_CHECKING:
    from pipeline.kubeflow.cluster.target import Target

_logger = logging.getLogger("yt8m.runs")

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LOCAL_ROW = "{:<19} {:<11} {:>8} {:>7} {:>7} {:>6}  {}"


@app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    host: Host = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="Directory of this machine's runs, which are listed instead of a cluster's. Default: runs."
        ),
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Follows a run of the cluster to its end: its id, or newest."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most runs to list.")] = 20,
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two questions of --watch.")
    ] = 10.0,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    iap_client_id: IapClientId = None,
    ca_file: CaFile = None,
    timeout: Timeout = 60,
    as_json: AsJson = False,
) -> None:
    """Lists the runs of this machine or, with --host, of a cluster, the newest first.

    With --watch it follows one run and says which task begins and ends. The exit code is then 1 if the run fails, or
    if its workflow is gone from the cluster.

    \b
    Examples: yt8m runs
              yt8m runs --host http://localhost:8080 --watch newest
              yt8m runs prune --keep 2
    """
    if context.invoked_subcommand:
        return
    from trainer.base.errors import UserError

    if root is not None and context.get_parameter_source("host").name == "COMMANDLINE":
        raise UserError(
            "--host lists the runs of a cluster and --root those of this machine: give one of them"
        )
    if host is None or root is not None:
        if watch:
            raise UserError("--watch follows a run of a cluster; give its --host")
        if root is None and not os.path.isdir("runs"):
            show_list("runs", [], _local_line, "there is no run here yet; yt8m run makes one", as_json)
        else:
            _list_local("runs" if root is None else root, limit, as_json)
        return
    target = target_of(host, namespace, token_file, iap_client_id, ca_file, timeout)
    if watch:
        _watch(target, watch, poll_seconds, as_json)
    else:
        _list_cluster(target, limit, as_json)


@app.command("prune")
def prune_(
    root: Annotated[str, typer.Option(help="Directory of all runs, or that of one recipe's runs.")] = "runs",
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest runs of each recipe stay.")] = 3,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Removes nothing, and says what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Removes what old runs of this machine left: artifacts, metadata and logs.

    Runs that a served version comes from stay (the newest version of a push directory, and those with a label), and
    artifacts that a run that stays has made or taken from the cache. Served versions themselves are not touched.

    \b
    Examples: yt8m runs prune --dry-run
              yt8m runs prune --root runs/yhls --keep 1
    """
    from pipeline.local.prune import prune
    from pipeline.local.runs import databases

    done = [prune(database.parent, keep, dry_run) for database in databases(root)]
    show_list(
        "pruned",
        [vars(one) for one in done],
        partial(_pruned_line, dry_run),
        f"there is no run below {root}",
        as_json,
    )


def _pruned_line(dry_run: bool, pruned: dict[str, Any]) -> str:
    verb = "would be removed" if dry_run else "removed"
    return (
        f"{pruned['directory']}: {len(pruned['runs'])} run(s) {verb}, {pruned['size'] / 2**30:.2f} GiB; "
        f"{len(pruned['kept'])} stay"
    )


def _list_local(root: str, limit: int, as_json: bool) -> None:
    from pipeline.local.runs import list_runs

    found = list_runs(root)[:limit]
    if found and not as_json:
        typer.echo(_LOCAL_ROW.format("started", "state", "seconds", "GAP", "holdout", "pushed", "recipe"))
    show_list("runs", found, _local_line, f"there is no run below {root}; yt8m run makes one", as_json)


def _local_line(run: dict[str, Any]) -> str:
    gap, holdout = ("-" if run[key] is None else f"{run[key]:.4f}" for key in ("gap", "holdout_gap"))
    pushed = "-" if run["pushed_version"] is None else run["pushed_version"]
    started = run["started"][:19].replace("T", " ")
    return _LOCAL_ROW.format(
        started, run["state"], f"{run['seconds']:.0f}", gap, holdout, pushed, run["recipe"]
    )


def _list_cluster(target: "Target", limit: int, as_json: bool) -> None:
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.cluster_runs import list_runs

    with connected(target) as client:
        found = list_runs(client, limit)
    show_list("runs", found, _cluster_line, "there is no run; yt8m submit starts one", as_json)


def _cluster_line(run: dict[str, Any]) -> str:
    created = (run["created"] or "")[:19].replace("T", " ")
    seconds = "" if run["seconds"] is None else f"{run['seconds']:.0f} s"
    return f"{created:<19} {run['state']:<10} {seconds:>9}  {run['name']}  {run['run_id']}  {run['link']}"


def _watch(target: "Target", run_id: str, seconds: float, as_json: bool) -> None:
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.cluster_runs import follow
    from pipeline.kubeflow.cluster.kubernetes_api import KubernetesApi

    kubernetes = KubernetesApi.or_reason(target.timeout)
    with connected(target) as client:
        # Without Kubernetes the run is followed all the same.
        run = follow(
            client, run_id, _logger.info, seconds, None if isinstance(kubernetes, str) else kubernetes
        )
    typer.echo(json.dumps(run, indent=2) if as_json else f"{run['name']} {run['state']}: {run['link']}")
