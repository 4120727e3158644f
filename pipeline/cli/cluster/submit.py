"""The verb ``yt8m submit``, which uploads a compiled pipeline to a cluster and starts a run of it."""

import dataclasses
import json
from typing import Annotated

import typer

from pipeline.cli.options.cluster_options import (
    CaFile,
    Experiment,
    Force,
    Host,
    IapClientId,
    Namespace,
    Parameters,
    PipelineRoot,
    ServiceAccount,
    Timeout,
    TokenFile,
    check_run_options,
    forced,
    package_of,
    target_of,
    warn_of_retries,
)
from pipeline.cli.output import AsJson


def submit(
    file: Annotated[str, typer.Argument(help="The file that yt8m compile wrote.", metavar="FILE")],
    host: Host = None,
    run_name: Annotated[
        str | None, typer.Option(help="Name of the run. Default: the pipeline's name and the time.")
    ] = None,
    experiment: Experiment = None,
    parameters: Parameters = None,
    pipeline_root: PipelineRoot = None,
    service_account: ServiceAccount = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    iap_client_id: IapClientId = None,
    ca_file: CaFile = None,
    timeout: Timeout = 60,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Uploads a compiled pipeline to Kubeflow Pipelines, and starts a run of it.

    The same file is uploaded only once: its version of the pipeline is named after its digest. A line warns where
    kubectl's current context says that failed steps are not started again; yt8m doctor asks for more.

    \b
    Examples: yt8m submit yhls.yaml --host http://localhost:8080 --service-account yt8m-pipeline
              yt8m submit yhls.yaml --host https://HOST --token-file FILE --namespace yt8m --param limit_bytes=943718400
    """
    check_run_options(pipeline_root, service_account)
    target = target_of(host, namespace, token_file, iap_client_id, ca_file, timeout)
    package, settings = package_of(
        file, experiment, forced(parameters, force), pipeline_root, service_account
    )
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.submission import start_run, upload

    with connected(target) as client:
        version = upload(client, package)
        run = start_run(client, package, version, settings, run_name)
    if as_json:
        typer.echo(json.dumps({"pipeline": package.name, **dataclasses.asdict(version), **run}, indent=2))
    else:
        typer.echo(f"{run['name']} is started: {run['link']}")
        typer.echo(f"Follow it: yt8m runs --host {host} --watch {run['run_id']}")
    warn_of_retries(timeout)
