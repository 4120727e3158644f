"""The one argument of the backend's own programs that holds a whole pipeline.

Linux takes 128 KiB in one argument, the zero at its end included. What tasks are given is checked when a file is read.
"""

import json

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.checks import MAX_ARGUMENT_BYTES
from pipeline.rehearsal.backend import Backend
from trainer.base.errors import UserError


def check_root_argument(root: pipeline_spec_pb2.ComponentSpec, backend: Backend) -> str | None:
    """Whether the root driver can be given the graph of all tasks.

    Returns:
        That it is given it in a file, for a person to know; None if it is given it as an argument.

    Raises:
        UserError: If it can be given it in no way.
    """
    plain = json_format.MessageToDict(root)
    size = len(json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode())
    if size < MAX_ARGUMENT_BYTES:
        return None
    if backend.offloads_arguments:
        return (
            f"the graph takes {size:,} bytes of JSON: the root driver reads it from a file (--component @...)"
        )
    raise UserError(
        f"the graph takes {size:,} bytes of JSON, and Kubeflow Pipelines {backend.version} gives it to its root driver "
        f"as one argument of less than {MAX_ARGUMENT_BYTES:,}: take fewer variants, or version 2.17 (--kfp 2.17)"
    )
