"""What Kubeflow's backend hands to the entry point of a task, and what it is handed back."""

import json
from pathlib import Path
from typing import Any


class Backend:
    """Calls the entry point as the backend does for one task after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def arguments(
        self,
        component: str,
        executor: str,
        *,
        parameters: dict[str, tuple[str, Any]],
        inputs: dict[str, tuple[str, dict]] | None = None,
        outputs: dict[str, str],
    ) -> list[str]:
        """Parameters are (type, value), inputs (type, artifact), outputs types."""
        inputs = inputs or {}
        given = {
            "inputs": {
                "parameterValues": {key: value for key, (_, value) in parameters.items()},
                "artifacts": {
                    key: {"artifacts": [{**artifact, "type": {"instanceSchema": ""}}]}
                    for key, (_, artifact) in inputs.items()
                },
            },
            "outputs": {
                "artifacts": {
                    **{
                        key: {
                            "artifacts": [
                                {
                                    "type": {"instanceSchema": f"title: {title}\n"},
                                    "uri": self.uri(component, key),
                                }
                            ]
                        }
                        for key, title in outputs.items()
                    },
                    "executor-logs": {
                        "artifacts": [
                            {
                                "type": {"schemaTitle": "system.Artifact"},
                                "uri": self.uri(component, "executor-logs"),
                            }
                        ]
                    },
                },
                "outputFile": str(self.output_file(component)),
            },
            # Of a backend newer than the protos.
            "later": True,
        }
        spec = {
            "artifacts": {
                key: {"artifactType": {"instanceSchema": f"title: {title}\n"}}
                for key, (title, _) in inputs.items()
            },
            "parameters": {key: {"parameterType": kind} for key, (kind, _) in parameters.items()},
        }
        return [
            *("--component_id", component),
            *("--executor_class_path", executor),
            *("--json_serialized_invocation_args", json.dumps(given)),
            *("--json_serialized_inputs_spec_args", json.dumps(spec)),
        ]

    def uri(self, component: str, key: str) -> str:
        return f"{self.root}/demo/run-1/{component}/0af3/{key}"

    def output_file(self, component: str) -> Path:
        return self.root / "kfp_outputs" / component / "output_metadata.json"

    def output(self, component: str) -> dict[str, dict]:
        """The artifacts that the entry point handed back, by key."""
        written = json.loads(self.output_file(component).read_text(encoding="utf-8"))
        assert written.keys() == {"artifacts"}
        return {key: entry["artifacts"][0] for key, entry in written["artifacts"].items()}
