"""The EnsembleAssembler's executor: unpacks artifacts and calls."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.ensemble_assembler.assembler import assemble
from components.ensemble_assembler.inputs import MODEL
from components.ladder import form_directories
from components.report_file import write_report
from components.splits import split_files
from serving.export.vocabulary import Vocabulary


class Executor(base_executor.BaseExecutor):
    """See `assemble`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Assembles the models."""
        keys = sorted(key for key in input_dict if key.startswith(MODEL))
        report = assemble(
            [form_directories(model.uri) for key in keys for model in input_dict[key]],
            split_files(input_dict["examples"], "eval"),
            path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"])),
            exec_properties["limit_bytes"],
            Vocabulary.load(path) if (path := exec_properties.get("vocabulary")) else None,
        )
        write_report(artifact_utils.get_single_uri(output_dict["report"]), report)
