"""The options that say which installation of Kubeflow Pipelines is meant, the same in every verb that asks one."""

from typing import Annotated

import typer

from pipeline.kubeflow.target import Target

Host = Annotated[
    str | None,
    typer.Option(
        envvar="KF_PIPELINES_ENDPOINT",
        help="URL of Kubeflow Pipelines; in-cluster is its service beside this pod, or in kubectl's context.",
    ),
]
Namespace = Annotated[
    str | None, typer.Option(help="Namespace of the profile, where the installation has several users.")
]
TokenFile = Annotated[
    str | None, typer.Option(help="File with a bearer token; may be renewed while this runs.")
]
IapClientId = Annotated[
    str | None,
    typer.Option(
        help="OAuth client of the Identity-Aware Proxy before it. Default: KF_PIPELINES_IAP_OAUTH2_CLIENT_ID."
    ),
]
CaFile = Annotated[str | None, typer.Option(help="PEM file of the authority of its certificate.")]
Timeout = Annotated[int, typer.Option(min=1, help="Seconds that it gets for an answer.")]

Experiment = Annotated[
    str | None, typer.Option(help="Experiment of the run, made if need be. Default: the pipeline's name.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="NAME=VALUE of the pipeline, for this run; may be repeated."),
]
PipelineRoot = Annotated[
    str | None, typer.Option(help="gs:// directory of the artifacts. Default: the one compiled in.")
]
ServiceAccount = Annotated[
    str | None,
    typer.Option(help="Kubernetes service account of the run's pods. Default: the installation's."),
]


def target_of(
    host: str | None,
    namespace: str | None,
    token_file: str | None,
    iap_client_id: str | None,
    ca_file: str | None,
    timeout: int,
) -> Target:
    """What the options say; UserError where there is no host, or one of them cannot be right."""
    from trainer.base.errors import UserError

    if not host:
        raise UserError(
            "--host: which Kubeflow Pipelines? Give its URL, in-cluster, or set KF_PIPELINES_ENDPOINT"
        )
    return Target(
        host=host,
        namespace=namespace,
        token_file=token_file,
        iap_client_id=iap_client_id,
        ca_file=ca_file,
        timeout=timeout,
    )


def check_run_options(pipeline_root: str | None, service_account: str | None) -> None:
    """UserError where a root is no place in a bucket, or an account's name cannot be."""
    from pipeline.recipe.kubernetes_names import check_name, object_name_fault
    from trainer.base.addresses import check_bucket_address

    if pipeline_root is not None:
        check_bucket_address(pipeline_root, "--pipeline-root")
    if service_account is not None:
        check_name(object_name_fault(service_account), "--service-account", service_account)
