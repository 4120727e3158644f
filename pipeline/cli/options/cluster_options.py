"""The options that describe an installation of Kubeflow Pipelines, the same in every verb that talks to one."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.kubeflow.cluster.target import Target

if TYPE_CHECKING:
    from pipeline.kubeflow.cluster.submission import RunSettings
    from pipeline.kubeflow.package import Package

_logger = logging.getLogger("yt8m.cluster")

Host = Annotated[
    str | None,
    typer.Option(
        envvar="KF_PIPELINES_ENDPOINT",
        help="URL of Kubeflow Pipelines. The word in-cluster stands for the service of the cluster of "
        "this pod, or of kubectl's context.",
    ),
]
Namespace = Annotated[
    str | None, typer.Option(help="Namespace of your profile, if the installation has several users.")
]
TokenFile = Annotated[
    str | None,
    typer.Option(help="File with a bearer token. It is read for every request, so that it may be renewed."),
]
IapClientId = Annotated[
    str | None,
    typer.Option(
        help="OAuth client of the Identity-Aware Proxy in front of the installation. Default: "
        "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID."
    ),
]
CaFile = Annotated[
    str | None, typer.Option(help="PEM file of the authority that signed the server's certificate.")
]
Timeout = Annotated[int, typer.Option(min=1, help="Most seconds to wait for an answer.")]

Experiment = Annotated[
    str | None,
    typer.Option(
        help="Experiment of the run, which is made if it does not exist. Default: the pipeline's name."
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param", help="Sets a parameter of the pipeline for this run, as NAME=VALUE. May be repeated."
    ),
]
PipelineRoot = Annotated[
    str | None, typer.Option(help="gs:// directory of the artifacts. Default: the one that was compiled in.")
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
    """Returns the installation that the options describe; raises UserError without a host, or if an option is wrong."""
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
    """Raises UserError if the root is no directory in a bucket, or the account's name breaks Kubernetes' rules."""
    from pipeline.recipe.kubernetes_names import check_name, object_name_fault
    from trainer.base.addresses import check_bucket_address

    if pipeline_root is not None:
        check_bucket_address(pipeline_root, "--pipeline-root")
    if service_account is not None:
        check_name(object_name_fault(service_account), "--service-account", service_account)


Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Runs everything even if data, code, recipe and served model are those of the last run.",
    ),
]


def forced(parameters: Sequence[str] | None, force: bool) -> list[str]:
    """Returns the parameters of a run, with the one that starts all tasks in any case where it is asked for."""
    return [*(parameters or ()), *(["force=true"] if force else [])]


def package_of(
    file: str,
    experiment: str | None,
    parameters: Sequence[str],
    pipeline_root: str | None,
    service_account: str | None,
) -> "tuple[Package, RunSettings]":
    """Returns the compiled pipeline of a file, and the settings that the options give its runs.

    Args:
        file: The path of the file that `yt8m compile` wrote.
        experiment: The name of the experiment; None for the pipeline's name.
        parameters: Texts of the form `name=value`.
        pipeline_root: The gs:// directory of the artifacts; None for the one compiled in.
        service_account: The Kubernetes service account of the pods; None for the installation's default.

    Raises:
        UserError: If the file is no pipeline that the backend takes, or a parameter is not one of it.
    """
    from pipeline.kubeflow.package import parse_parameters, read_package

    package = read_package(file)
    values = parse_parameters(package, parameters)

    # It imports kfp, for which a refusal need not wait.
    from pipeline.kubeflow.cluster.submission import RunSettings

    settings = RunSettings(
        experiment=experiment,
        parameters=values,
        pipeline_root=pipeline_root,
        service_account=service_account,
    )
    return package, settings


def warn_of_retries(timeout: int) -> None:
    """Logs a line where kubectl's current context says that failed steps of a run are not started again.

    Call it when the work is done: a cluster that does not answer takes some seconds.
    """
    from pipeline.kubeflow.cluster.doctor import retries_problem
    from pipeline.kubeflow.cluster.kubernetes_api import KubernetesApi

    if problem := retries_problem(KubernetesApi.or_reason(timeout)):
        _logger.warning("retries: %s", problem)
