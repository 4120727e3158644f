"""The verb ``yt8m doctor``, which asks whether a cluster has what a run needs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli.options.cluster_options import (
    CaFile,
    Host,
    IapClientId,
    Namespace,
    PipelineRoot,
    ServiceAccount,
    Timeout,
    TokenFile,
    check_run_options,
    target_of,
)
from pipeline.cli.output import AsJson

_SIGNS = {"ok": "ok", "warning": "note", "wrong": "WRONG", "unknown": "?"}


def doctor(
    file: Annotated[
        str | None,
        typer.Argument(
            help="The file that yt8m compile wrote, to ask for the GPUs and nodes of its steps, too.",
            metavar="FILE",
        ),
    ] = None,
    host: Host = None,
    service_account: ServiceAccount = None,
    pipeline_root: PipelineRoot = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    iap_client_id: IapClientId = None,
    ca_file: CaFile = None,
    timeout: Timeout = 60,
    as_json: AsJson = False,
) -> int:
    """Asks a cluster whether a run would find what it needs. It changes nothing and starts nothing.

    It asks Kubeflow Pipelines for its version, and Kubernetes in kubectl's current context whether failed steps start
    again, and for the service account, the quota of GPUs and the nodes. It also tries to read the buckets from here.
    The exit code is 1 if something is wrong.

    \b
    Example: yt8m doctor yhls.yaml --host http://localhost:8080 --service-account yt8m-pipeline
    """
    check_run_options(pipeline_root, service_account)
    target = target_of(host, namespace, token_file, iap_client_id, ca_file, timeout)
    from pipeline.kubeflow.package import read_package

    package = read_package(file) if file else None
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.doctor import Questions, examine
    from pipeline.kubeflow.cluster.kubernetes_api import KubernetesApi
    from serving.store.gcs_objects import GcsObjects

    kubernetes = KubernetesApi.or_reason(timeout)
    questions = Questions(
        package=package,
        service_account=service_account,
        pipeline_root=pipeline_root or (package and package.pipeline_root),
    )
    with connected(target) as client:
        findings = [*examine(client, kubernetes, questions, lambda root: GcsObjects(root).check())]
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{_SIGNS[finding.state]:<6} {finding.what}: {finding.text}")
    return int(any(finding.state == "wrong" for finding in findings))
