"""Uploads a compiled pipeline to Kubeflow Pipelines, and starts a run of it."""

import datetime
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kfp_server_api import ApiException, V2beta1Pipeline
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.cluster.api_client import ApiClient, pages
from pipeline.kubeflow.package import Package
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.submit")

_EQUALS = 1
"""The operation EQUALS of the API's filters."""

_CONFLICT = 409
"""The HTTP status that says that the name is taken."""


@dataclass(frozen=True)
class Version:
    """A version of a pipeline in the cluster.

    Attributes:
        pipeline_id: The id of the pipeline.
        version_id: The id of the version.
        name: The name of the version: the beginning of the file's digest.
        uploaded: Whether the version was uploaded just now.
    """

    pipeline_id: str
    version_id: str
    name: str
    uploaded: bool


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a run, or of each run of a schedule.

    Attributes:
        experiment: The name of the experiment, which is made if it does not exist; None for the pipeline's name.
        parameters: The parameters that differ from the compiled file, by name.
        pipeline_root: The gs:// directory of the artifacts; None for the one compiled in.
        service_account: The Kubernetes service account of the pods; None for the installation's default.
    """

    experiment: str | None
    parameters: dict[str, Any]
    pipeline_root: str | None = None
    service_account: str | None = None


def upload(client: ApiClient, package: Package) -> Version:
    """Returns the version of the pipeline that is this file, and uploads it first if it is not there.

    Versions are named after the file's digest: the same file twice is one version, and each run says which file it
    ran. The pipeline is made if there is none of the name.

    Raises:
        UserError: If several pipelines have the name.
    """
    name = f"sha256-{package.digest[:16]}"
    pipeline_id, pipeline_made = _pipeline_id(client, package.name)

    def find() -> str | None:
        versions = pages(
            client.list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=pipeline_id,
            filter=named(name),
        )
        return next((version.pipeline_version_id for version in versions), None)

    def make() -> str:
        return client.upload_pipeline_version(package.path, name, pipeline_id=pipeline_id).pipeline_version_id

    try:
        version_id, uploaded = _found_or_made(find, make)
    except ApiException:
        if pipeline_made:
            # Nothing half-made stays behind.
            with suppress(ApiException, HTTPError):
                client.delete_pipeline(pipeline_id)
        raise
    _logger.info("%s: version %s %s", package.name, name, "uploaded" if uploaded else "is there already")
    return Version(pipeline_id, version_id, name, uploaded)


def start_run(
    client: ApiClient, package: Package, version: Version, settings: RunSettings, run_name: str | None = None
) -> dict[str, Any]:
    """Starts a run.

    Args:
        client: The connected client.
        package: The compiled pipeline.
        version: The uploaded version of it.
        settings: The settings of the run.
        run_name: The name of the run; None for the pipeline's name and the time.

    Returns:
        The JSON form of the run: run_id, name and link.
    """
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    run = client.run_pipeline(
        experiment_id(client, package, settings),
        run_name or f"{package.name} {stamp}",
        pipeline_id=version.pipeline_id,
        version_id=version.version_id,
        params=settings.parameters,
        pipeline_root=settings.pipeline_root or package.pipeline_root,
        service_account=settings.service_account,
    )
    return {"run_id": run.run_id, "name": run.display_name, "link": client.link("runs", run.run_id)}


def experiment_id(client: ApiClient, package: Package, settings: RunSettings) -> str:
    """Returns the id of the experiment, which is made if there is none of the name."""
    name = settings.experiment or package.name

    def find() -> str | None:
        experiments = pages(
            client.list_experiments, "experiments", filter=named(name), namespace=client.namespace
        )
        return next((experiment.experiment_id for experiment in experiments), None)

    def make() -> str:
        return client.create_experiment(name, namespace=client.namespace).experiment_id

    return _found_or_made(find, make)[0]


def named(name: str) -> str:
    """Returns the API's filter for things of a name."""
    return equals("display_name", name)


def equals(key: str, value: str) -> str:
    """Returns the API's filter for things whose field has a value."""
    return json.dumps({"predicates": [{"operation": _EQUALS, "key": key, "stringValue": value}]})


def _pipeline_id(client: ApiClient, name: str) -> tuple[str, bool]:
    """Returns the id of the pipeline of a name, and whether it was made just now."""

    def find() -> str | None:
        pipelines = pages(client.list_pipelines, "pipelines", filter=named(name), namespace=client.namespace)
        found = [pipeline.pipeline_id for pipeline in pipelines]
        if len(found) > 1:
            raise UserError(
                f"there are {len(found)} pipelines named {name} ({', '.join(found)}); delete all but one"
            )
        return found[0] if found else None

    def make() -> str:
        pipeline = V2beta1Pipeline(display_name=name, namespace=client.namespace)
        # By position: releases of the client differ in the argument's name.
        made = client.pipelines.pipeline_service_create_pipeline(pipeline)
        _logger.info("pipeline %s made", name)
        return made.pipeline_id

    return _found_or_made(find, make)


def _found_or_made(find: Callable[[], str | None], make: Callable[[], str]) -> tuple[str, bool]:
    """Returns the id of a thing with a unique name, and whether it was made just now.

    Somebody else may make the thing after `find` has looked; then `make` is refused (409), and `find` looks again.
    """
    if (found := find()) is not None:
        return found, False
    try:
        return make(), True
    except ApiException as error:
        if error.status != _CONFLICT or (found := find()) is None:
            raise
        return found, False
