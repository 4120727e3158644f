"""Recurring runs: Kubeflow Pipelines starts a pipeline by the clock."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kfp_server_api import ApiException
from urllib3.exceptions import HTTPError

from pipeline.kubeflow.cluster.api_client import ENDED_STATES, ApiClient, pages
from pipeline.kubeflow.cluster.submission import RunSettings, Version, equals, experiment_id, named
from pipeline.kubeflow.package import Package
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.schedule")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When the runs of a schedule start.

    Attributes:
        cron: The six fields that `cron.six_fields` returns.
        max_concurrency: The most runs at the same time, 1 to 10; more runs wait.
        no_catchup: Whether start times that were missed, for example during a pause, are dropped. Otherwise there is a
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
    """Creates a recurring run, which replaces those of the same name.

    The new one is created first, disabled, so that the old one stays as it was when the new one is refused. Then the
    old one is disabled, the new one enabled, and the old one deleted, so that no two start a run for the same time.
    Where enabling fails, the old one is enabled again. A schedule that was paused stays paused. Runs that the old
    one has started go on.

    Returns:
        The JSON form of `describe`, with two more keys: `replaced`, the ids of the old ones, and `kept`, the ids of
        those among them that are disabled but not deleted (see `retire`).
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
    to. Where the server cannot, a recurring run is not deleted while one of its runs goes on.

    Returns:
        The ids of those that were not deleted; a line of the log names the run that each waits for.
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
    """Returns all recurring runs of the namespace, the newest first, in the form that `describe` gives them."""
    found = pages(
        client.list_recurring_runs, "recurring_runs", namespace=client.namespace, sort_by="created_at desc"
    )
    return [describe(client, one) for one in found]


def pause(client: ApiClient, name: str) -> list[str]:
    """Lets a schedule start no more runs until `resume`; returns its id, or several ids if several have the name."""
    ids = _existing(client, name)
    for one in ids:
        client.disable_recurring_run(one)
    return ids


def resume(client: ApiClient, name: str) -> list[str]:
    """Lets a schedule start runs again, and returns its id.

    If several disabled ones have the name, the newest is enabled: it has replaced the others (see `retire`).

    Raises:
        UserError: If an older one of the name is enabled: both would start runs.
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
    """Deletes all schedules of a name; the runs that they have started go on.

    Returns:
        The ids of those that are deleted, and the ids of those that are only disabled (see `retire`).
    """
    ids = pause(client, name)
    kept = retire(client, ids)
    return [one for one in ids if one not in kept], kept


def describe(client: ApiClient, recurring: Any) -> dict[str, Any]:
    """Returns a recurring run as plain values.

    Its keys are recurring_run_id, name, state (enabled, disabled), cron of six fields, max_concurrency, no_catchup,
    pipeline_version_id, created (ISO 8601) and link.
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
    """Disables the old schedules and enables the new one; enables the old ones again where that fails."""
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
    """Returns the ids of the runs that a recurring run has started and that have not ended.

    An archived run counts as ended.
    """
    runs = pages(
        client.list_runs,
        "runs",
        namespace=client.namespace,
        filter=equals("recurring_run_id", recurring_run_id),
    )
    return [
        run.run_id
        for run in runs
        if (run.state or "").upper() not in ENDED_STATES and run.storage_state != "ARCHIVED"
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
