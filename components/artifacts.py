"""The artifact types of this project that TFX does not have."""

from tfx.types import artifact


class Report(artifact.Artifact):
    """A directory with `report.json`, what one step measured, and optionally files that belong to it.

    `report.json` is one JSON object; every component documents its own keys. Downstream steps read reports,
    never logs.
    """

    # Kubeflow Pipelines takes names of this form only.
    TYPE_NAME = "yt8m.Report"


class HtmlPage(artifact.Artifact):
    """One HTML file, at the artifact's very address, which Kubeflow Pipelines shows in its user interface."""

    TYPE_NAME = "system.HTML"


class Metrics(artifact.Artifact):
    """Numbers, as custom properties, which Kubeflow Pipelines lists and compares between runs; no files."""

    TYPE_NAME = "system.Metrics"
