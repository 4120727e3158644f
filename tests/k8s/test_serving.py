"""The model server's manifests against what TensorFlow Serving really does, and against the bytes of the models."""

import itertools
import re

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from pipeline.recipe.loader import load_recipe
from pipeline.recipe.sections import EnsembleSection
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from tests.k8s.overlays import SERVING, container, find, settings
from tests.k8s.serving_protos import BatchingParameters, MonitoringConfig
from trainer.base.units import MIB
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec

EVERY = pytest.mark.parametrize("overlay", SERVING)
CANARY = ("serving/overlays/canary-1", "serving/overlays/canary-2")
LIMIT = int(EnsembleSection().limit_bytes)
"""Bytes that a model may have as stored."""

UNITS = {"Gi": 2**30, "Mi": 2**20}


def quantity(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


def files(objects):
    (found,) = (
        item["data"]
        for item in objects
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("serving-config-")
    )
    return found


def flags(objects):
    return dict(argument.removeprefix("--").split("=", 1) for argument in container(objects)["args"])


def model_config(objects):
    """models.config with the versions of the settings filled in, as fetch.sh does."""
    values = settings()
    text = re.sub("@([A-Z_]+)@", lambda match: values[match[1]], files(objects)["models.config"])
    (config,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    return config


def versions(objects):
    return list(model_config(objects).model_version_policy.specific.versions)


def resident(spec: ModelSpec) -> int:
    """Bytes in memory of a variant stored in float16: what is decoded is there twice, 2 + 4 bytes a weight."""
    return sum((6 if tensor.compressible else 4) * tensor.size for tensor in spec.tensors)


# Memory


def test_six_bytes_a_weight_are_three_times_what_is_stored_at_most():
    for spec in map(ModelSpec, load_recipe("grid28").variants):
        weights = sum(tensor.size for tensor in spec.tensors)
        assert spec.float32_bytes < resident(spec) <= 6 * weights
        assert resident(spec) <= 3 * stored_bytes(spec, FLOAT16)


@EVERY
def test_the_largest_model_allowed_fits_into_the_memory_limit(build, overlay):
    """6 bytes a weight x versions + 1 GB; a model of nothing but float16 weights has LIMIT / 2 of them."""
    objects = build(overlay)
    need = 6 * (LIMIT // 2) * len(versions(objects)) + 10**9
    resources = container(objects)["resources"]
    limit = quantity(resources["limits"]["memory"])
    # CUDA's libraries want some GiB more; otherwise nothing is given away.
    spare = 3 * 2**30 if overlay.endswith("gpu") else 0
    assert need + spare <= limit < need + spare + 2**30
    assert resources["requests"]["memory"] == resources["limits"]["memory"], (
        "memory is not to be overcommitted"
    )


def test_every_ensemble_of_table_1_that_may_be_pushed_fits_as_well(build):
    limit = quantity(container(build("serving/overlays/cpu"))["resources"]["limits"]["memory"])
    sizes = [(stored_bytes(spec, FLOAT16), resident(spec)) for spec in map(ModelSpec, TABLE1)]
    largest = max(
        sum(in_memory for _, in_memory in members)
        for count in range(1, 6)
        for members in itertools.combinations(sizes, count)
        if sum(stored for stored, _ in members) <= LIMIT
    )
    assert 0.9 * limit < largest + 10**9 <= limit


@EVERY
def test_versions_fit_onto_the_disk(build, overlay):
    objects = build(overlay)
    pod = find(objects, "Deployment")["spec"]["template"]["spec"]
    sizes = {item["name"]: item["emptyDir"]["sizeLimit"] for item in pod["volumes"] if "emptyDir" in item}
    assert quantity(sizes["models"]) >= (LIMIT + 128 * MIB) * len(versions(objects))
    limits = container(objects)["resources"]["limits"]
    assert quantity(limits["ephemeral-storage"]) >= sum(map(quantity, sizes.values()))


# Configuration files


@EVERY
def test_model_config(build, overlay):
    objects = build(overlay)
    config = model_config(objects)
    assert (config.name, config.base_path, config.model_platform) == ("yt8m", "/models/yt8m", "tensorflow")
    assert not config.HasField("logging_config"), "breaks start-up"
    assert set(config.version_labels.values()) <= set(versions(objects))
    path = f"/v1/models/{config.name}/labels/stable/metadata"
    assert {container(objects)[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")} == {
        path
    }
    assert flags(objects)["model_config_file"] == "/models/models.config", "where fetch.sh writes it"


def test_the_canary_moves_a_label_in_two_steps(build):
    stable, canary = (int(settings()[name]) for name in ("STABLE_VERSION", "CANARY_VERSION"))
    steps = [
        (versions(objects), dict(model_config(objects).version_labels))
        for objects in map(build, ("serving/overlays/cpu", *CANARY))
    ]
    assert steps == [
        ([stable], {"stable": stable}),
        ([stable, canary], {"stable": stable, "canary": canary}),
        ([stable, canary], {"stable": canary, "canary": canary}),
    ]


def test_a_step_rolls_out_and_can_be_rolled_back(build):
    """Each has a ConfigMap of its own, whose name is in the pod's template."""
    names = set()
    for overlay in ("serving/overlays/cpu", *CANARY):
        volumes = find(build(overlay), "Deployment")["spec"]["template"]["spec"]["volumes"]
        (name,) = (volume["configMap"]["name"] for volume in volumes if volume["name"] == "config")
        names.add(name)
    assert len(names) == 3


@EVERY
def test_what_is_fetched_is_what_the_settings_say(build, overlay):
    (init,) = find(build(overlay), "Deployment")["spec"]["template"]["spec"]["initContainers"]
    given = {item["name"]: item["value"] for item in init["env"]}
    names = ["MODEL_BASE", "STABLE_VERSION", *(["CANARY_VERSION"] if overlay in CANARY else [])]
    assert {name: given.pop(name) for name in names} == {name: settings()[name] for name in names}
    assert given.keys() == {"CLOUDSDK_CONFIG", "HOME"}, "which must not be on the read-only root"
    assert all(value.startswith("/tmp") for value in given.values())


@EVERY
def test_batching(build, overlay):
    objects = build(overlay)
    batching = text_format.Parse(files(objects)["batching.config"], BatchingParameters())
    largest = batching.max_batch_size.value
    assert largest >= 8
    assert 2000 <= batching.batch_timeout_micros.value <= 5000
    assert 1 <= batching.num_batch_threads.value <= 2
    assert batching.max_enqueued_batches.value == batching.num_batch_threads.value
    assert not batching.pad_variable_length_inputs, "pads with the tensor's first element, not zero"
    assert int(flags(objects)["grpc_max_threads"]) >= 2 * largest
    sizes = list(batching.allowed_batch_sizes)
    if overlay.endswith("gpu"):
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == largest, "the server refuses to start otherwise"
    else:
        assert not sizes


@EVERY
def test_metrics_are_where_they_are_looked_for(build, overlay):
    objects = build(overlay)
    monitoring = text_format.Parse(files(objects)["monitoring.config"], MonitoringConfig())
    (endpoint,) = find(objects, "PodMonitoring")["spec"]["endpoints"]
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    assert monitoring.prometheus_config.enable
    assert endpoint["path"] == monitoring.prometheus_config.path
    assert ports == {"grpc": int(flags(objects)["port"]), "rest": int(flags(objects)["rest_api_port"])}
    assert endpoint["port"] == "rest"


# What is asked of the server


@EVERY
def test_command_and_flags(build, overlay):
    objects = build(overlay)
    server = container(objects)
    assert server["command"] == ["/usr/bin/tensorflow_model_server"]
    assert re.fullmatch(r"tensorflow/serving:2\.20\.\d+(-gpu)?", server["image"])
    assert server["image"].endswith("-gpu") == overlay.endswith("gpu")
    given = flags(objects)
    assert len(given) == len(server["args"]), "no flag twice"
    assert given["enable_profiler"] == "false"
    # It assigns labels before it loads what they point to.
    assert given["allow_version_labels_for_unavailable_models"] == "true"
    assert {"tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"} <= given.keys()
    paths = [
        value for name, value in given.items() if name.endswith("_file") and value.startswith("/config/")
    ]
    assert {path.removeprefix("/config/") for path in paths} <= files(objects).keys()


@EVERY
def test_pods_have_no_rights(build, overlay):
    objects = build(overlay)
    pod = find(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for item in (*pod["initContainers"], *pod["containers"]):
        assert item["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    (models,) = (mount for mount in container(objects)["volumeMounts"] if mount["name"] == "models")
    assert models["readOnly"]
    assert (
        find(objects, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    )


@EVERY
def test_a_pod_that_goes_outlives_its_connections(build, overlay):
    objects = build(overlay)
    pod = find(objects, "Deployment")["spec"]["template"]["spec"]
    channel = dict(pair.split("=") for pair in flags(objects)["grpc_channel_arguments"].split(","))
    age = int(channel["grpc.max_connection_age_ms"]) + int(channel["grpc.max_connection_age_grace_ms"])
    sleep = container(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert age / 1000 < sleep < pod["terminationGracePeriodSeconds"]


@EVERY
def test_servers_stay_available(build, overlay):
    objects = build(overlay)
    deployment = find(objects, "Deployment")
    scaler, budget = (
        find(objects, "HorizontalPodAutoscaler")["spec"],
        find(objects, "PodDisruptionBudget")["spec"],
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert "replicas" not in deployment["spec"], "would fight with the autoscaler"
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaler["maxReplicas"] >= scaler["minReplicas"] > budget["minAvailable"] == 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread[0]["topologyKey"] == "topology.kubernetes.io/zone"
    selectors = [
        find(objects, "Service", "yt8m-serving")["spec"]["selector"],
        budget["selector"]["matchLabels"],
        find(objects, "PodMonitoring")["spec"]["selector"]["matchLabels"],
        find(objects, "NetworkPolicy", "yt8m-serving")["spec"]["podSelector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in spread),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    assert find(objects, "Service", "yt8m-serving")["spec"]["clusterIP"] == "None"


@EVERY
def test_rest_is_for_scraping_only(build, overlay):
    policies = [item["spec"] for item in build(overlay) if item["kind"] == "NetworkPolicy"]
    rules = [rule for policy in policies for rule in policy.get("ingress", [])]
    assert all(rule.get("from") and rule.get("ports") for rule in rules), "nothing is open to all"
    rest = [rule["from"] for rule in rules if {"port": "rest"} in rule["ports"]]
    (expression,) = rest[0][0]["namespaceSelector"]["matchExpressions"]
    assert len(rest) == 1
    assert set(expression["values"]) == {"gmp-system", "gke-gmp-system"}
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies


# Overlays


def test_gpu(build):
    objects = build("serving/overlays/gpu")
    pod = find(objects, "Deployment")["spec"]["template"]["spec"]
    assert container(objects)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": settings()["SERVING_ACCELERATOR"]}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    quota = int(find(objects, "ResourceQuota")["spec"]["hard"]["requests.nvidia.com/gpu"])
    assert quota > find(objects, "HorizontalPodAutoscaler")["spec"]["maxReplicas"], "a roll-out adds one"


def test_load_balancer(build):
    objects = build("serving/overlays/loadbalancer")
    service = find(objects, "Service", "yt8m-serving-lb")
    policy = find(objects, "NetworkPolicy", "yt8m-serving-lb")["spec"]
    clients = settings()["CLIENT_RANGE"]
    assert service["metadata"]["annotations"] == {"networking.gke.io/load-balancer-type": "Internal"}
    assert service["spec"]["loadBalancerSourceRanges"] == [clients]
    assert service["spec"]["externalTrafficPolicy"] == "Local", "or the policy would see nodes, not clients"
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["grpc"]
    assert policy["ingress"] == [{"from": [{"ipBlock": {"cidr": clients}}], "ports": [{"port": "grpc"}]}]
