"""Recurring runs: a pipeline that Kubeflow Pipelines starts by itself, by the clock."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.api_client import ApiClient, pages
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.submission import RunSettings, Version, experiment_id, named
from trainer.errors import UserError

_logger = logging.getLogger("yt8m.schedule")

MAX_CONCURRENCY = 10
"""Runs of one recurring run at once, the backend's limit."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When runs start.

    Attributes:
        cron: Six fields, as `cron.six_fields` makes them.
        max_concurrency: Runs that may be there at once; more wait.
        no_catchup: Whether start times that were missed, during a pause for one, are let go. Otherwise there is a
            run for each.
    """

    cron: str
    max_concurrency: int = 1
    no_catchup: bool = False


def set_schedule(
    client: ApiClient,
    package: Package,
    version: Version,
    settings: RunSettings,
    timing: Timing,
    name: str,
) -> dict[str, Any]:
    """Creates a recurring run, in the place of those of the same name.

    The new one is created first, disabled, so that the old one stays as it was when the new one is refused. Then the
    old one is disabled, the new one enabled, and the old one deleted, so that no two start a run for the same time.
    Where enabling fails, the old one gets its place back. A schedule that was paused stays paused.

    Returns:
        The JSON form of `describe`, and `replaced`: ids of the old ones.
    """
    old = _named(client, name)
    paused = bool(old) and not any(one.status == "ENABLED" for one in old)
    new = client.create_recurring_run(
        experiment_id(client, package, settings),
        name,
        cron_expression=timing.cron,
        max_concurrency=timing.max_concurrency,
        no_catchup=timing.no_catchup,
        pipeline_id=version.pipeline_id,
        version_id=version.version_id,
        params=settings.parameters,
        pipeline_root=settings.pipeline_root or package.pipeline_root,
        service_account=settings.service_account,
        enabled=False,
    )
    if not paused:
        _take_over(client, new.recurring_run_id, [one for one in old if one.status == "ENABLED"])
    for one in old:
        client.delete_recurring_run(one.recurring_run_id)
        _logger.info("%s: the recurring run %s is deleted", name, one.recurring_run_id)
    made = client.get_recurring_run(new.recurring_run_id)
    return {**describe(client, made), "replaced": [one.recurring_run_id for one in old]}


def list_schedules(client: ApiClient) -> list[dict[str, Any]]:
    """All recurring runs of the namespace, the newest first, as `describe` gives them."""
    found = pages(
        client.list_recurring_runs, "recurring_runs", namespace=client.namespace, sort_by="created_at desc"
    )
    return [describe(client, one) for one in found]


def pause(client: ApiClient, name: str) -> list[str]:
    """Lets a schedule start no more runs until `resume`; returns its id, or ids if several have the name."""
    ids = _existing(client, name)
    for one in ids:
        client.disable_recurring_run(one)
    return ids


def resume(client: ApiClient, name: str) -> list[str]:
    """Lets a schedule start runs again; returns its id.

    Raises:
        UserError: If several have the name: they would all start runs.
    """
    ids = _existing(client, name)
    if len(ids) > 1:
        raise UserError(
            f"{len(ids)} schedules are named {name} ({', '.join(ids)}) and would start each its own runs; schedule the "
            "file again, which leaves one"
        )
    client.enable_recurring_run(ids[0])
    return ids


def delete(client: ApiClient, name: str) -> list[str]:
    """Deletes a schedule; runs that it has started stay. Returns its id, or ids if several have the name."""
    ids = _existing(client, name)
    for one in ids:
        client.delete_recurring_run(one)
    return ids


def describe(client: ApiClient, recurring: Any) -> dict[str, Any]:
    """The JSON form: recurring_run_id, name, state (enabled, disabled), cron of six fields, max_concurrency,
    no_catchup, pipeline_version_id, created (ISO 8601) and link.
    """
    schedule = recurring.trigger.cron_schedule if recurring.trigger else None
    reference = recurring.pipeline_version_reference
    return {
        "recurring_run_id": recurring.recurring_run_id,
        "name": recurring.display_name,
        "state": str(recurring.status or "unknown").lower(),
        "cron": schedule.cron if schedule else None,
        "max_concurrency": int(recurring.max_concurrency or 1),
        "no_catchup": bool(recurring.no_catchup),
        "pipeline_version_id": reference.pipeline_version_id if reference else None,
        "created": recurring.created_at.isoformat() if recurring.created_at else None,
        "link": client.link("recurringrun", recurring.recurring_run_id),
    }


def _take_over(client: ApiClient, new: str, old: list[Any]) -> None:
    """Hands the clock over; the old ones have it again where that fails."""
    try:
        for one in old:
            client.disable_recurring_run(one.recurring_run_id)
        client.enable_recurring_run(new)
    except BaseException:
        with suppress(ApiException, HTTPError):
            client.delete_recurring_run(new)
        for one in old:
            with suppress(ApiException, HTTPError):
                client.enable_recurring_run(one.recurring_run_id)
        raise


def _named(client: ApiClient, name: str) -> list[Any]:
    return [
        *pages(client.list_recurring_runs, "recurring_runs", namespace=client.namespace, filter=named(name))
    ]


def _existing(client: ApiClient, name: str) -> list[str]:
    ids = [one.recurring_run_id for one in _named(client, name)]
    if not ids:
        known = sorted({one["name"] for one in list_schedules(client)})
        raise UserError(f"no schedule is named {name}; there are {', '.join(known) or 'none'}")
    return ids
