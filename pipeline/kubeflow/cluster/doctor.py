"""Asks a cluster, before a run is paid for, for its version, retries, account, quota, GPU nodes and bucket."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from pipeline.kubeflow.cluster.api_client import ApiClient
from pipeline.kubeflow.cluster.kubernetes_api import INSTALLATION_NAMESPACE, KubernetesApi, NotAskableError
from pipeline.kubeflow.package import Package
from trainer.base.errors import UserError

_FIRST_WITH_ON_ERROR = (2, 17)
_RETRIES = "retries"
_WORKFLOW_CONTROLLER = "workflow-controller-configmap"
_WORKLOAD_IDENTITY = "iam.gke.io/gcp-service-account"
_APPLY_RETRIES = (
    "kubectl apply --server-side --force-conflicts --field-manager=yt8m -k k8s/pipelines/retries "
    "sets it to Always"
)

State = Literal["ok", "warning", "wrong", "unknown"]
Answer = tuple[State, str]


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Attributes:
        what: The name of the question, such as `retries`.
        state: `ok`; `warning`; `wrong` where a run would fail or not be started again; `unknown` without an answer.
        text: What was found and what to do about it, for people.
    """

    what: str
    state: State
    text: str


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What a run will need, which decides what is asked.

    Attributes:
        package: The compiled pipeline; None to ask nothing about nodes and GPUs.
        service_account: The Kubernetes service account of the run's pods; None for the installation's default.
        pipeline_root: The gs:// directory of the artifacts; None if it is not known.
    """

    package: Package | None = None
    service_account: str | None = None
    pipeline_root: str | None = None


def examine(
    client: ApiClient,
    kubernetes: KubernetesApi | str,
    questions: Questions,
    check_bucket: Callable[[str], None],
) -> Iterator[Finding]:
    """Asks one question after the other, and yields each answer.

    Args:
        client: The connected client.
        kubernetes: The cluster of kubectl's current context, or the reason why it cannot be asked.
        questions: What the run will need.
        check_bucket: A function that raises UserError if a gs:// directory cannot be read.
    """
    yield Finding("Kubeflow Pipelines", *_version(client))
    if client.get_kfp_healthz().multi_user and not client.namespace:
        yield Finding("namespace", "wrong", "the installation has several users; give --namespace")
    for what, question in _kubernetes_questions(client.namespace or INSTALLATION_NAMESPACE, questions):
        if isinstance(kubernetes, str):
            yield Finding(what, "unknown", _without_kubernetes(what, client, kubernetes))
            continue
        try:
            yield Finding(what, *question(kubernetes))
        except NotAskableError as error:
            yield Finding(what, "unknown", f"{error} (asked in kubectl's context {kubernetes.context})")
    push = questions.package and questions.package.parameters.get("push_destination", {}).get("defaultValue")
    for what, address in {"bucket": questions.pipeline_root, "push.directory": push}.items():
        if address and address.startswith("gs://"):
            yield Finding(what, *_bucket(address, check_bucket))


def retries_problem(kubernetes: KubernetesApi | str) -> str | None:
    """Returns what is wrong with the restarts of failed steps, for a warning; None if nothing is, or nobody can tell.

    Args:
        kubernetes: See `examine`.
    """
    if isinstance(kubernetes, str):
        return None
    try:
        state, text = _retries(kubernetes)
    except NotAskableError:
        return None
    return None if state == "ok" else f"{text} (asked in kubectl's context {kubernetes.context})"


def _kubernetes_questions(
    namespace: str, questions: Questions
) -> Iterator[tuple[str, Callable[[KubernetesApi], Answer]]]:
    """Asks Kubernetes; the namespace is that of the runs."""
    package, account = questions.package, questions.service_account
    yield _RETRIES, _retries
    if account:
        yield "service account", lambda api: _service_account(api, namespace, account)
    yield "GPU quota", lambda api: _quota(api, namespace, _most_gpus(package))
    for selector in _node_selectors(package):
        yield f"nodes {selector}", functools.partial(_nodes, selector=selector)


def _version(client: ApiClient) -> Answer:
    version = client.server_version()
    if version.release is None:
        return "warning", f"{version}: its health check says {version.text or 'nothing'!r}"
    if not version.keeps_runs_of_deleted_schedules:
        return "warning", f"{version}: before 2.16 a schedule cannot be deleted while a run of it goes on"
    return "ok", str(version)


def _retries(api: KubernetesApi) -> Answer:
    policy = retry_policy(
        api.get(f"/api/v1/namespaces/{INSTALLATION_NAMESPACE}/configmaps/{_WORKFLOW_CONTROLLER}")
    )
    if policy == "Always":
        return "ok", "a step is started again whatever ended it"
    if policy in ("OnError", "OnTransientError"):
        return "wrong", f"the default policy {policy} makes every failed step final: {_APPLY_RETRIES}"
    return (
        "warning",
        f"a step whose pod is deleted, as on a spot node, is not started again: {_APPLY_RETRIES}",
    )


def retry_policy(config_map: dict[str, Any]) -> str | None:
    """Returns the retry policy that Argo merges into every step, or None where there is no default.

    Args:
        config_map: The ConfigMap of Argo's workflow controller as Kubernetes returns it. Each setting is a key of its
            own, or all are in the key `config`.
    """
    data = config_map.get("data") or {}
    defaults: Any = data.get("workflowDefaults") or (yaml.safe_load(data.get("config") or "") or {}).get(
        "workflowDefaults"
    )
    node = yaml.safe_load(defaults) if isinstance(defaults, str) else defaults
    for key in ("spec", "templateDefaults", "retryStrategy"):
        node = (node or {}).get(key)
    return (node or {}).get("retryPolicy")


def _service_account(api: KubernetesApi, namespace: str, name: str) -> Answer:
    try:
        account = api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
    except NotAskableError as error:
        if error.status != 404:
            raise
        return (
            "wrong",
            f"there is no service account {name} in {namespace}: kubectl apply -k k8s/pipelines/overlays/...",
        )
    acts_as = (account["metadata"].get("annotations") or {}).get(_WORKLOAD_IDENTITY)
    return "ok", f"{name} acts as {acts_as or 'no Google account that it names'}"


def _quota(api: KubernetesApi, namespace: str, needed: int) -> Answer:
    quotas = api.get(f"/api/v1/namespaces/{namespace}/resourcequotas").get("items") or ()
    limits = {
        quota["metadata"]["name"]: int(hard)
        for quota in quotas
        for key, hard in (quota.get("spec", {}).get("hard") or {}).items()
        if key.removeprefix("requests.") == "nvidia.com/gpu"
    }
    if not limits:
        return "ok", f"no quota limits the GPUs of {namespace}"
    name, limit = min(limits.items(), key=lambda item: item[1])
    if needed > limit:
        return (
            "wrong",
            f"{name} allows {limit} GPUs in {namespace}, and a Trainer asks for {needed}: it never starts",
        )
    return "ok", f"{name} allows {limit} GPUs at once in {namespace}"


def _nodes(api: KubernetesApi, selector: str) -> Answer:
    count = len(api.get("/api/v1/nodes", labelSelector=selector).get("items") or ())
    if not count:
        return (
            "warning",
            "there is none now; well where an autoscaled pool starts with no node, else steps wait for ever",
        )
    return "ok", f"{count}"


def _bucket(root: str, check: Callable[[str], None]) -> Answer:
    try:
        check(root)
    except UserError as error:
        return "warning", f"{error} (asked with the account of this machine, not of the pods)"
    return "ok", f"{root} can be read with the account of this machine"


def _without_kubernetes(what: str, client: ApiClient, reason: str) -> str:
    release = client.server_version().release
    if what == _RETRIES and release and release >= _FIRST_WITH_ON_ERROR:
        return f"{reason}; from 2.17 on the installation's own default makes every failed step final: {_APPLY_RETRIES}"
    return reason


def _executors(package: Package | None) -> dict[str, Any]:
    platform = package.platform if package else {}
    return platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})


def _node_selectors(package: Package | None) -> list[str]:
    """Returns the nodes that steps ask for, as label selectors in kubectl's form."""
    labels = (
        settings.get("nodeSelector", {}).get("labels") or {} for settings in _executors(package).values()
    )
    return sorted({",".join(f"{key}={value}" for key, value in sorted(one.items())) for one in labels if one})


def _most_gpus(package: Package | None) -> int:
    """Returns the number of GPUs of the step that asks for most."""
    executors = package.spec["deploymentSpec"]["executors"].values() if package else ()
    counts = (
        executor.get("container", {}).get("resources", {}).get("accelerator", {}).get("count", 0)
        for executor in executors
    )
    return max(map(int, counts), default=0)
