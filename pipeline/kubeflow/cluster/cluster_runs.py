"""Lists the runs of a Kubeflow Pipelines installation, and follows one to its end."""

import itertools
import re
import time
from collections.abc import Callable
from typing import Any

from pipeline.kubeflow.cluster.api_client import ENDED_STATES, ApiClient, pages
from pipeline.kubeflow.cluster.api_errors import ClusterError, plain_errors
from pipeline.kubeflow.cluster.kubernetes_api import KubernetesApi
from pipeline.kubeflow.cluster.vanished import WorkflowLook
from trainer.base.errors import OutsideError, UserError

NEWEST = "newest"
"""Stands for the newest run where a run's id is asked for."""


_PATIENCE = 20
"""After so many questions in a row without an answer a run is followed no longer."""

_BACKENDS_OWN = re.compile(r"root|executor|.*-driver|.*\(\d+\)")
"""Nodes of the workflow, which are listed among our tasks; a number in brackets stands behind single attempts."""

_OMITTED = "omitted"
"""The state of a task that never began, when its run has ended: Argo omits the tasks after a failed one."""

Run = dict[str, Any]


class RunEndedError(OutsideError):
    """A run that was followed did not succeed."""


def list_runs(client: ApiClient, limit: int) -> list[Run]:
    """Returns the newest runs of the namespace, in the form that `describe` gives them."""
    found = pages(client.list_runs, "runs", namespace=client.namespace, sort_by="created_at desc")
    return [describe(client, run) for run in itertools.islice(found, limit)]


def follow(
    client: ApiClient,
    run_id: str,
    say: Callable[[str], None],
    seconds: float,
    kubernetes: KubernetesApi | None = None,
) -> Run:
    """Follows a run until it has ended.

    Args:
        client: The connected client.
        run_id: The id of the run, or `NEWEST`.
        say: Called with a line for each task that changes its state.
        seconds: The seconds between two questions.
        kubernetes: The cluster of kubectl's current context, which is asked for the run's workflow; None to ask none.

    Returns:
        The run in the form that `describe` gives it.

    Raises:
        RunEndedError: If it failed, was cancelled, or its workflow is gone; the message names the tasks that failed.
        UserError: If there is no such run.
        ClusterError: If the cluster does not answer for many questions in a row.
    """
    if run_id == NEWEST:
        newest = list_runs(client, 1)
        if not newest:
            raise UserError("there is no run to watch; yt8m submit starts one")
        run_id = newest[0]["run_id"]
    known: dict[str, str] = {}
    failures = 0
    look = WorkflowLook(client, kubernetes, say)
    while True:
        try:
            with plain_errors(client.host):
                answer = client.get_run(run_id)
                ended = (answer.state or "").upper() in ENDED_STATES
                gone = not ended and look.is_gone(answer)
            failures = 0
        except ClusterError as error:
            # A run takes days, and an API server is restarted now and then.
            failures += 1
            if failures == _PATIENCE:
                raise
            say(f"{error} (asking again)")
        else:
            run, states = describe(client, answer), _task_states(answer, ended)
            for task, state in {**states, run["name"]: run["state"]}.items():
                if known.get(task) != state:
                    known[task] = state
                    say(f"{task}: {state}")
            if ended:
                return _succeeded(run, answer, states)
            if gone:
                raise RunEndedError(
                    f"{run['name']} says {run['state']}, and nothing of it runs any more: its workflow is gone from "
                    "the cluster, deleted by hand or with the schedule that started it. Archive it there, and start "
                    f"it again (yt8m submit): {run['link']}"
                )
        time.sleep(seconds)


def describe(client: ApiClient, run: Any) -> Run:
    """Returns a run as plain values.

    Its keys are run_id, name, state (lower case), created and finished (ISO 8601, null while the run goes on), seconds,
    recurring_run_id (null if no schedule started the run) and link.
    """
    finished = run.finished_at if run.finished_at and run.finished_at.year > 1970 else None
    return {
        "run_id": run.run_id,
        "name": run.display_name,
        "state": (run.state or "pending").lower(),
        "created": run.created_at.isoformat() if run.created_at else None,
        "finished": finished.isoformat() if finished else None,
        "seconds": (finished - run.created_at).total_seconds() if finished and run.created_at else None,
        "recurring_run_id": run.recurring_run_id or None,
        "link": client.link("runs", run.run_id),
    }


def _task_states(run: Any, ended: bool) -> dict[str, str]:
    """Returns the state of each of our tasks; a task that has no state yet is left out while the run goes on."""
    details = (run.run_details.task_details if run.run_details else None) or ()
    # The top node has the workflow's name, and what is below it is named by that and a number.
    children = {child.pod_name or "" for task in details for child in task.child_tasks or ()}
    workflows = {child.rpartition("-")[0] for child in children}
    states = {}
    for task in details:
        name, state = task.display_name, (task.state or "").lower()
        if not name or _BACKENDS_OWN.fullmatch(name) or name in workflows:
            continue
        if not workflows and name == name.lower():
            continue  # the top node, before there is anything below it
        if state or ended:
            states[name] = state or _OMITTED
    return states


def _succeeded(run: Run, answer: Any, states: dict[str, str]) -> Run:
    if run["state"] == "succeeded":
        return run
    failed = ", ".join(task for task, state in states.items() if state in ("failed", "error"))
    reason = f": {answer.error.message}" if answer.error and answer.error.message else ""
    raise RunEndedError(
        f"{run['name']} {run['state']}{reason}; failed tasks: {failed or 'none'}; the last line of a failed step's log "
        f"says what to do: {run['link']}"
    )
