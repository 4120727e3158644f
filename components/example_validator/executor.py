"""The executor of our ExampleValidator."""

import posixpath
from typing import Any

from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput
from tfx.types import artifact_utils

from components.example_validator.describe import check_anomalies


class Executor(tfx_executor.Executor):
    """Writes the anomalies as TFX's executor does, then fails when there are any."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> ExecutorOutput:
        """Runs the step.

        Raises:
            UserError: A split has an anomaly; the text names all of them.
        """
        output = super().Do(input_dict, output_dict, exec_properties)
        (artifact,) = output_dict["anomalies"]
        found = {}
        for split in artifact_utils.decode_split_names(artifact.split_names):
            uri = artifact_utils.get_split_uri([artifact], split)
            with fileio.open(posixpath.join(uri, tfx_executor.DEFAULT_FILE_NAME), "rb") as file:
                found[split] = Anomalies.FromString(file.read())
        check_anomalies(found)
        return output
