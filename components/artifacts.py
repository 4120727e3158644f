"""The artifact types of this project that TFX does not have."""

from tfx.types import artifact


class Report(artifact.Artifact):
    """A directory with `report.json`, which says what one step measured, and optionally more files.

    `report.json` is one JSON object; the class for it lies beside the step (see `components.report_file.StepReport`).
    Downstream steps read reports, never logs.
    """

    # Kubeflow Pipelines takes names of this form only.
    TYPE_NAME = "yt8m.Report"


class SoftTargets(artifact.Artifact):
    """What a teacher says of each video of the train split, sparse and by id (see `trainer.data.soft_targets`)."""

    TYPE_NAME = "yt8m.SoftTargets"


class HtmlPage(artifact.Artifact):
    """One HTML file, which Kubeflow Pipelines shows in its user interface.

    The artifact's address is that of the file itself, and not of a directory with the file in it.
    """

    TYPE_NAME = "system.HTML"


class Metrics(artifact.Artifact):
    """Numbers that Kubeflow Pipelines lists and compares between runs.

    They are custom properties of the artifact; it has no files.
    """

    TYPE_NAME = "system.Metrics"
