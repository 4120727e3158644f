"""An executor that writes down what it was given."""

import json
import os

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.io import fileio


class Executor(BaseExecutor):
    """Leaves `seen.json` in its output `model`, and `state` in its output `model_run`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:  # noqa: N802
        if file := exec_properties.get("read"):
            with fileio.open(file, "rb") as opened:
                opened.read()
        (model,), (run,) = output_dict["model"], output_dict["model_run"]
        seen = {
            "inputs": {
                key: [
                    {
                        "type": artifact.type_name,
                        "uri": artifact.uri,
                        "span": artifact.span,
                        "file_format": artifact.get_string_custom_property("file_format"),
                    }
                    for artifact in artifacts
                ]
                for key, artifacts in input_dict.items()
            },
            "exec_properties": exec_properties,
            "found": {artifact.type_name: sorted(os.listdir(artifact.uri)) for artifact in (model, run)},
            "temp": self._context.get_tmp_path(),
            "arguments": self._context.extra_flags if hasattr(self._context, "extra_flags") else None,
        }
        with open(os.path.join(model.uri, "seen.json"), "w", encoding="utf-8") as file:
            json.dump(seen, file)
        with open(os.path.join(run.uri, "state"), "a", encoding="utf-8") as file:
            file.write("x")
        model.set_int_custom_property("step", 7)
        if exec_properties.get("fail"):
            raise RuntimeError(exec_properties["fail"])
