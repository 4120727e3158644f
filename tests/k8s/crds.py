"""JSON schemas of the custom resources in k8s/, which kubernetes-validate does not know: the fields in use, and no
others (after the CRDs of prometheus-engine and k8s-config-connector)."""

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

_IAM, _CONTAINER = "iam.cnrm.cloud.google.com/v1beta1", "container.cnrm.cloud.google.com/v1beta1"

CRDS: dict[tuple[str, str], Schema] = {
    ("monitoring.googleapis.com/v1", "PodMonitoring"): resource(_POD_MONITORING),
    (_CONTAINER, "ContainerNodePool"): resource(_NODE_POOL),
    (_IAM, "IAMServiceAccount"): resource(closed({"displayName": TEXT, "resourceID": NAME})),
    (_IAM, "IAMPolicyMember"): resource(_MEMBER),
    ("kubeflow.org/v1", "Profile"): resource(
        closed({"owner": closed({"kind": {"const": "User"}, "name": TEXT})})
    ),
}
"""By apiVersion and kind."""
