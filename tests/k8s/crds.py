"""JSON schemas of the custom resources in k8s/, which kubernetes-validate does not know: the fields in use, and no
others (after the CRDs of prometheus-engine, k8s-config-connector, KServe, Kueue, the Gateway API and GKE's Gateway)."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
NAME: Schema = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields only."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def resource(spec: Schema) -> Schema:
    """A custom resource with this spec."""
    metadata = closed({"name": NAME}, {"namespace": NAME, "labels": {}, "annotations": {}})
    return closed({"apiVersion": TEXT, "kind": TEXT, "metadata": metadata, "spec": spec})


_POD_MONITORING = closed(
    {
        "selector": closed({"matchLabels": {"type": "object", "minProperties": 1}}),
        "endpoints": {
            "type": "array",
            "minItems": 1,
            "items": closed(
                {"port": TEXT, "interval": {"type": "string", "pattern": "^[0-9]+s$"}},
                {"path": {"type": "string", "pattern": "^/"}},
            ),
        },
    }
)

_ACCELERATOR = closed(
    {
        "type": {
            "enum": [
                f"nvidia-{name}" for name in ("tesla-t4", "tesla-p100", "tesla-v100", "l4", "tesla-a100")
            ]
        },
        "count": COUNT,
        "gpuDriverInstallationConfig": closed({"gpuDriverVersion": {"enum": ["DEFAULT", "LATEST"]}}),
    }
)

_NODE_POOL = closed(
    {
        "clusterRef": closed(
            {"external": {"type": "string", "pattern": "^projects/[^/]+/locations/[^/]+/clusters/[^/]+$"}}
        ),
        "location": TEXT,
        "initialNodeCount": COUNT,
        "autoscaling": closed(
            {"totalMinNodeCount": COUNT, "totalMaxNodeCount": COUNT, "locationPolicy": {"const": "ANY"}}
        ),
        "management": closed({"autoRepair": {"const": True}, "autoUpgrade": {"const": True}}),
        "nodeConfig": closed(
            {
                "machineType": TEXT,
                "imageType": TEXT,
                "diskType": TEXT,
                "diskSizeGb": COUNT,
                "serviceAccountRef": closed({"name": NAME}),
                "oauthScopes": {"type": "array", "items": TEXT},
                "workloadMetadataConfig": closed({"mode": {"const": "GKE_METADATA"}}),
                "labels": {"type": "object"},
            },
            {
                "spot": {"type": "boolean"},
                "guestAccelerator": {"type": "array", "items": _ACCELERATOR, "minItems": 1, "maxItems": 1},
                "taint": {
                    "type": "array",
                    "items": closed({"key": TEXT, "value": TEXT, "effect": {"const": "NO_SCHEDULE"}}),
                },
            },
        ),
    }
)

_MEMBER = {
    **closed(
        {
            "role": {"type": "string", "pattern": "^roles/"},
            "resourceRef": closed(
                {"kind": {"enum": ["IAMServiceAccount", "StorageBucket", "Project"]}},
                {"name": NAME, "external": TEXT},
            ),
        },
        {
            "member": {"type": "string", "pattern": r"^serviceAccount:[^ ]+\.svc\.id\.goog\[[^/]+/[^/]+\]$"},
            "memberFrom": closed({"serviceAccountRef": closed({"name": NAME})}),
        },
    ),
    "oneOf": [{"required": ["member"]}, {"required": ["memberFrom"]}],
}

_PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
_CONDITION: Schema = {"type": "object", "additionalProperties": TEXT, "minProperties": 1}


def _list(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}


_ROUTE_BACKENDS = _list(
    closed({"name": NAME, "port": _PORT, "weight": {"type": "integer", "minimum": 0, "maximum": 1000000}})
)


def _route(match: Schema) -> Schema:
    return closed(
        {
            "parentRefs": _list(closed({"name": NAME})),
            "rules": _list(closed({"matches": _list(match), "backendRefs": _ROUTE_BACKENDS})),
        }
    )


_GATEWAY = closed(
    {
        "gatewayClassName": NAME,
        "listeners": _list(
            closed(
                {
                    "name": NAME,
                    "port": _PORT,
                    "protocol": {"const": "HTTPS"},
                    "tls": closed(
                        {"mode": {"const": "Terminate"}, "certificateRefs": _list(closed({"name": NAME}))}
                    ),
                    "allowedRoutes": closed({"namespaces": closed({"from": {"enum": ["Same", "All"]}})}),
                }
            )
        ),
    }
)

_HEALTH_CHECK = closed(
    {
        "default": closed(
            {
                "checkIntervalSec": COUNT,
                "timeoutSec": COUNT,
                "config": closed(
                    {
                        "type": {"const": "HTTP"},
                        "httpHealthCheck": closed(
                            {"port": _PORT, "requestPath": {"type": "string", "pattern": "^/"}}
                        ),
                    }
                ),
            }
        ),
        "targetRef": closed({"group": {"const": ""}, "kind": {"const": "Service"}, "name": NAME}),
    }
)

_CLUSTER_QUEUE = closed(
    {
        "namespaceSelector": closed(
            {
                "matchExpressions": _list(
                    closed({"key": TEXT, "operator": {"const": "In"}, "values": _list(NAME)})
                )
            }
        ),
        "preemption": closed({"withinClusterQueue": {"enum": ["Never", "LowerPriority"]}}),
        "resourceGroups": _list(
            closed(
                {
                    "coveredResources": _list(TEXT),
                    "flavors": _list(
                        closed(
                            {
                                "name": NAME,
                                "resources": _list(
                                    closed({"name": TEXT, "nominalQuota": {"pattern": "^[0-9]+(k|Ti)?$"}})
                                ),
                            }
                        )
                    ),
                }
            )
        ),
    }
)

_POD_CONTAINER: Schema = {"type": "object", "required": ["name", "image", "command", "securityContext"]}
"""The rest of a container is Kubernetes' own; test_kserve checks it as a Pod's."""

_SERVING_RUNTIME = closed(
    {
        "supportedModelFormats": _list(closed({"name": TEXT, "version": TEXT})),
        "protocolVersions": _list({"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]}),
        "containers": _list(_POD_CONTAINER),
        "volumes": {"type": "array"},
    },
    {"annotations": _CONDITION},
)

_INFERENCE_SERVICE = closed(
    {
        "predictor": closed(
            {
                "serviceAccountName": NAME,
                "minReplicas": COUNT,
                "maxReplicas": COUNT,
                "canaryTrafficPercent": {"type": "integer", "minimum": 0, "maximum": 100},
                "storageContainerName": NAME,
                "model": closed(
                    {
                        "modelFormat": closed({"name": TEXT, "version": TEXT}),
                        "protocolVersion": {"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]},
                        "runtime": NAME,
                        "storageUri": {"type": "string", "pattern": "^gs://.+/[0-9]+$"},
                    }
                ),
            }
        )
    }
)

_STORAGE_CONTAINER = closed(
    {
        "container": _POD_CONTAINER,
        "supportedUriFormats": _list(closed({"prefix": {"type": "string", "pattern": "^gs://"}})),
    }
)

_IAM, _CONTAINER = "iam.cnrm.cloud.google.com/v1beta1", "container.cnrm.cloud.google.com/v1beta1"

CRDS: dict[tuple[str, str], Schema] = {
    ("monitoring.googleapis.com/v1", "PodMonitoring"): resource(_POD_MONITORING),
    (_CONTAINER, "ContainerNodePool"): resource(_NODE_POOL),
    (_IAM, "IAMServiceAccount"): resource(closed({"displayName": TEXT, "resourceID": NAME})),
    (_IAM, "IAMPolicyMember"): resource(_MEMBER),
    ("gateway.networking.k8s.io/v1", "Gateway"): resource(_GATEWAY),
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): resource(
        _route(closed({"method": closed({"service": TEXT}, {"method": TEXT})}))
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): resource(
        _route(closed({"path": closed({"type": {"const": "PathPrefix"}, "value": TEXT})}))
    ),
    ("networking.gke.io/v1", "HealthCheckPolicy"): resource(_HEALTH_CHECK),
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): resource(closed({"nodeLabels": _CONDITION})),
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): resource(_CLUSTER_QUEUE),
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): resource(closed({"clusterQueue": NAME})),
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): resource(_SERVING_RUNTIME),
    ("serving.kserve.io/v1alpha1", "ClusterStorageContainer"): resource(_STORAGE_CONTAINER),
    ("serving.kserve.io/v1beta1", "InferenceService"): resource(_INFERENCE_SERVICE),
    ("kubeflow.org/v1", "Profile"): resource(
        closed({"owner": closed({"kind": {"const": "User"}, "name": TEXT})})
    ),
}
"""By apiVersion and kind."""
