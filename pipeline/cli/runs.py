"""``yt8m runs``: what has run, here or in a cluster."""

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.cluster_options import CaFile, Host, IapClientId, Namespace, Timeout, TokenFile, target_of

if TYPE_CHECKING:
    from pipeline.kubeflow.target import Target

_logger = logging.getLogger("yt8m.runs")


def runs(
    host: Host = None,
    root: Annotated[
        str | None,
        typer.Option(help="Directory of this machine's runs, instead of a cluster's. Default: runs."),
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Follows a run of the cluster to its end: its id, or newest."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most runs to list.")] = 20,
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two looks of --watch.")
    ] = 10.0,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    iap_client_id: IapClientId = None,
    ca_file: CaFile = None,
    timeout: Timeout = 60,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Lists runs, the newest first: with --host those of a cluster, without those of this machine.

    --watch follows one run, says which task begins and ends, and exits with 1 when it fails, or when its workflow is
    gone from the cluster.

    \b
    Examples: yt8m runs
              yt8m runs --host http://localhost:8080 --watch newest
    """
    from trainer.base.errors import UserError

    if host is None or root is not None:
        if watch:
            raise UserError("--watch follows a run of a cluster; give its --host")
        _list_local(root or "runs", limit, as_json)
        return
    target = target_of(host, namespace, token_file, iap_client_id, ca_file, timeout)
    if watch:
        _watch(target, watch, poll_seconds, as_json)
    else:
        _list_cluster(target, limit, as_json)


def _list_local(root: str, limit: int, as_json: bool) -> None:
    from pipeline.local.runs import list_runs

    found = list_runs(root)[:limit]
    if as_json:
        typer.echo(json.dumps({"runs": found}, indent=2))
        return
    if not found:
        typer.echo(f"there is no run below {root}; yt8m run makes one")
        return
    typer.echo(
        f"{'started':<19} {'state':<11} {'seconds':>8} {'GAP':>7} {'holdout':>7} {'pushed':>6}  recipe"
    )
    for run in found:
        gap = "-" if run["gap"] is None else f"{run['gap']:.4f}"
        holdout = "-" if run["holdout_gap"] is None else f"{run['holdout_gap']:.4f}"
        pushed = "-" if run["pushed_version"] is None else run["pushed_version"]
        started = run["started"][:19].replace("T", " ")
        typer.echo(
            f"{started:<19} {run['state']:<11} {run['seconds']:>8.0f} {gap:>7} {holdout:>7} {pushed:>6}  "
            f"{run['recipe']}"
        )


def _list_cluster(target: "Target", limit: int, as_json: bool) -> None:
    from pipeline.kubeflow.api_client import connected
    from pipeline.kubeflow.cluster_runs import list_runs

    with connected(target) as client:
        found = list_runs(client, limit)
    if as_json:
        typer.echo(json.dumps({"runs": found}, indent=2))
        return
    if not found:
        typer.echo("there is no run; yt8m submit starts one")
    for run in found:
        typer.echo(_line(run))


def _line(run: dict[str, Any]) -> str:
    created = (run["created"] or "")[:19].replace("T", " ")
    seconds = "" if run["seconds"] is None else f"{run['seconds']:.0f} s"
    return f"{created:<19} {run['state']:<10} {seconds:>9}  {run['name']}  {run['run_id']}  {run['link']}"


def _watch(target: "Target", run_id: str, seconds: float, as_json: bool) -> None:
    from pipeline.kubeflow.api_client import connected
    from pipeline.kubeflow.cluster_runs import follow
    from pipeline.kubeflow.kubernetes_api import KubernetesApi, NotAskableError

    try:
        kubernetes = KubernetesApi(target.timeout)
    except NotAskableError:
        kubernetes = None  # the run is followed all the same
    with connected(target) as client:
        run = follow(client, run_id, _logger.info, seconds, kubernetes)
    typer.echo(json.dumps(run, indent=2) if as_json else f"{run['name']} {run['state']}: {run['link']}")
