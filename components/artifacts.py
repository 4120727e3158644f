"""The artifact types of this project that TFX does not have."""

from tfx.types import artifact


class Report(artifact.Artifact):
    """A directory with `report.json`, what one step measured, and optionally files that belong to it.

    `report.json` is one JSON object; every component documents its own keys. Downstream steps read reports,
    never logs.
    """

    # Kubeflow Pipelines takes names of this form only.
    TYPE_NAME = "yt8m.Report"
