"""The canary by weights: two Deployments with one version each behind a Gateway."""

from tests.k8s.overlays import find, settings

OVERLAY = "serving/overlays/gateway"


def deployment(objects, name):
    return find(objects, "Deployment", name)["spec"]


def test_each_service_reaches_the_pods_of_its_own_version_only(build):
    objects = build(OVERLAY)
    pods = {
        name: deployment(objects, name)["template"]["metadata"]["labels"]
        for name in ("yt8m-serving", "yt8m-serving-canary")
    }
    reached = {
        item["metadata"]["name"]: [
            name for name, labels in pods.items() if item["spec"]["selector"].items() <= labels.items()
        ]
        for item in objects
        if item["kind"] == "Service"
    }
    assert reached == {
        "yt8m-serving": ["yt8m-serving"],
        "yt8m-serving-stable": ["yt8m-serving"],
        "yt8m-serving-canary": ["yt8m-serving-canary"],
    }
    fetched = {
        name: {item["name"]: item["value"] for item in init["env"]}["STABLE_VERSION"]
        for name in pods
        for init in deployment(objects, name)["template"]["spec"]["initContainers"]
    }
    values = settings()
    assert fetched == {
        "yt8m-serving": values["STABLE_VERSION"],
        "yt8m-serving-canary": values["CANARY_VERSION"],
    }


def test_both_deployments_are_whole(build):
    """Each has its own autoscaler, disruption budget and network policy, which select its pods and no others."""
    objects = build(OVERLAY)
    for name in ("yt8m-serving", "yt8m-serving-canary"):
        labels = deployment(objects, name)["template"]["metadata"]["labels"]
        assert deployment(objects, name)["selector"]["matchLabels"].items() <= labels.items()
        target = find(objects, "HorizontalPodAutoscaler", name)["spec"]["scaleTargetRef"]["name"]
        assert target == name
        assert (
            find(objects, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"].items()
            <= labels.items()
        )
        policy = find(objects, "NetworkPolicy", name)["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        gateway = find(objects, "NetworkPolicy", "yt8m-serving-gateway")["spec"]["podSelector"]["matchLabels"]
        assert gateway.items() <= labels.items()
        volumes = deployment(objects, name)["template"]["spec"]["volumes"]
        names = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
        assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} <= names
    accounts = {
        deployment(objects, name)["template"]["spec"]["serviceAccountName"]
        for name in ("yt8m-serving", "yt8m-serving-canary")
    }
    assert accounts == {find(objects, "ServiceAccount")["metadata"]["name"]}


def test_both_routes_share_requests_out_as_the_settings_say(build):
    objects, values = build(OVERLAY), settings()
    weights = {
        "yt8m-serving-stable": int(values["STABLE_WEIGHT"]),
        "yt8m-serving-canary": int(values["CANARY_WEIGHT"]),
    }
    for kind, port in (("GRPCRoute", "grpc"), ("HTTPRoute", "rest")):
        route = find(objects, kind)["spec"]
        (rule,) = route["rules"]
        assert [parent["name"] for parent in route["parentRefs"]] == [
            find(objects, "Gateway")["metadata"]["name"]
        ]
        assert {backend["name"]: backend["weight"] for backend in rule["backendRefs"]} == weights
        for backend in rule["backendRefs"]:
            ports = find(objects, "Service", backend["name"])["spec"]["ports"]
            assert {item["name"]: item["port"] for item in ports}[port] == backend["port"]


def test_health_is_asked_where_the_probes_ask(build):
    objects = build(OVERLAY)
    (server,) = deployment(objects, "yt8m-serving")["template"]["spec"]["containers"]
    rest = {port["name"]: port["containerPort"] for port in server["ports"]}["rest"]
    for item in objects:
        if item["kind"] == "HealthCheckPolicy":
            check = item["spec"]["default"]["config"]["httpHealthCheck"]
            assert (check["requestPath"], check["port"]) == (
                server["readinessProbe"]["httpGet"]["path"],
                rest,
            )
            find(objects, "Service", item["spec"]["targetRef"]["name"])
