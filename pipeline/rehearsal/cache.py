"""What the backend's driver takes for the same execution of a task.

Source: kubeflow/pipelines, backend/src/v2: driver/cache.go, cacheutils/cache.go; api/v2alpha1/cache_key.proto.
"""

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2


def cache_key(
    given: pipeline_spec_pb2.ExecutorInput, image: str, command: Sequence[str], claims: Sequence[str]
) -> dict[str, Any]:
    """All that counts: the ids of the input artifacts, the parameters, the outputs' types, and the container.

    What lies at the inputs' addresses, where the outputs go, and the resources do not count.

    Args:
        given: What the container would be given.
        image: Its image.
        command: Its command and arguments, with their placeholders.
        claims: Names of its volumes' claims; none for a backend to which they do not count.

    Returns:
        A CacheKey in protobuf's JSON form, in which nothing that is empty is said.
    """
    plain = json_format.MessageToDict(given)
    inputs, outputs = plain.get("inputs", {}), plain.get("outputs", {})
    container = {"image": image, "cmdArgs": [*command], "pvcNames": sorted({*claims})}
    key = {
        "inputArtifactNames": {
            name: {"artifactNames": [artifact["name"] for artifact in entry["artifacts"]]}
            for name, entry in inputs.get("artifacts", {}).items()
        },
        "inputParameterValues": inputs.get("parameterValues", {}),
        "outputArtifactsSpec": {
            name: {field: value for field, value in entry["artifacts"][0].items() if field != "uri"}
            for name, entry in outputs.get("artifacts", {}).items()
        },
        "containerSpec": {field: value for field, value in container.items() if value},
    }
    return {name: value for name, value in key.items() if value}


def fingerprint(key: dict[str, Any]) -> str:
    """The SHA-256 of a cache key, in hexadecimal, as the driver forms it."""
    return hashlib.sha256(_as_go_writes(key).encode()).hexdigest()


def _as_go_writes(value: Any) -> str:
    """JSON to the byte as Go's encoding/json writes it."""
    match value:
        case dict():
            fields = (f"{_as_go_writes(name)}:{_as_go_writes(value[name])}" for name in sorted(value))
            return f"{{{','.join(fields)}}}"
        case list():
            return f"[{','.join(map(_as_go_writes, value))}]"
        case float():
            return _number(value)
        case str():
            text = json.dumps(value, ensure_ascii=False)
            for sign in "<>&\u2028\u2029":
                text = text.replace(sign, f"\\u{ord(sign):04x}")
            return text
        case _:
            return json.dumps(value)


def _number(value: float) -> str:
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        text = f"{Decimal(repr(value)):f}"
        return text.removesuffix(".0")
    mantissa, exponent = repr(value).split("e")
    sign, digits = exponent[0], exponent[1:]
    return f"{mantissa}e{sign}{digits.lstrip('0') if sign == '-' else digits}"
