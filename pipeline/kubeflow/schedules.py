"""Recurring runs: a pipeline that Kubeflow Pipelines starts by itself, by the clock."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.api_client import ApiClient, pages
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.submission import RunSettings, Version, equals, experiment_id, named
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.schedule")

_ENDED = frozenset(("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED"))
"""States of a run whose workflow does nothing any more."""

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
    Where enabling fails, the old one gets its place back. A schedule that was paused stays paused. Runs that the old
    one has started go on.

    Returns:
        The JSON form of `describe`, `replaced`: ids of the old ones, and `kept`: the ids of those among them that are
        still there, disabled, as `retire` says.
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
    replaced = [one.recurring_run_id for one in old]
    kept = retire(client, replaced)
    made = client.get_recurring_run(new.recurring_run_id)
    return {**describe(client, made), "replaced": replaced, "kept": kept}


def retire(client: ApiClient, ids: list[str]) -> list[str]:
    """Deletes recurring runs that are disabled, and lets the runs that they have started go on.

    Kubernetes deletes a workflow together with the recurring run that started it, unless the server can tell it not
    to. Where it cannot, a recurring run of which a run goes on is not deleted.

    Returns:
        Ids of those that were not deleted; a line of the log says which run each waits for.
    """
    version = client.server_version()
    kept = []
    for one in ids:
        if not version.keeps_runs_of_deleted_schedules and (active := _active_runs(client, one)):
            kept.append(one)
            _logger.warning(
                "the recurring run %s stays, disabled: %s would end its run %s with it, and 2.16 and newer would not",
                *(one, version, ", ".join(active)),
            )
            continue
        client.delete_recurring_run(one)
        _logger.info("the recurring run %s is deleted", one)
    return kept


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

    Of several disabled ones of the name the newest is meant: it has replaced the others (see `retire`).

    Raises:
        UserError: If an older one of the name is on: both would start runs.
    """
    found = sorted(_named(client, name), key=lambda one: one.created_at, reverse=True)
    ids = [one.recurring_run_id for one in found] or _existing(client, name)
    if any(one.status == "ENABLED" for one in found[1:]):
        raise UserError(
            f"{len(ids)} schedules are named {name} ({', '.join(ids)}) and would start each its own runs; schedule the "
            "file again, which leaves one"
        )
    client.enable_recurring_run(ids[0])
    return ids[:1]


def delete(client: ApiClient, name: str) -> tuple[list[str], list[str]]:
    """Deletes a schedule, or several if they have the name; runs that it has started go on.

    Returns:
        Ids of those that are deleted, and of those that are only disabled, as `retire` says.
    """
    ids = pause(client, name)
    kept = retire(client, ids)
    return [one for one in ids if one not in kept], kept


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
            client.disable_recurring_run(new)  # it may be on, though the answer did not come
            retire(client, [new])
        for one in old:
            with suppress(ApiException, HTTPError):
                client.enable_recurring_run(one.recurring_run_id)
        raise


def _active_runs(client: ApiClient, recurring_run_id: str) -> list[str]:
    """Ids of the runs that a recurring run has started and that have not ended; an archived one counts as ended."""
    runs = pages(
        client.list_runs,
        "runs",
        namespace=client.namespace,
        filter=equals("recurring_run_id", recurring_run_id),
    )
    return [
        run.run_id
        for run in runs
        if (run.state or "").upper() not in _ENDED and run.storage_state != "ARCHIVED"
    ]


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
