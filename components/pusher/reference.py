"""What a pushed version says of its data and its predictions, for comparisons with later ones."""

import posixpath
from typing import ClassVar

from pydantic import Field

from components.ensemble_assembler.report import EnsembleReport
from components.example_gen.distribution import DistributionPart, Distributions
from components.pusher.files import REFERENCE_FILE
from components.report_file import StepReport
from trainer.base.files import exists


class Reference(StepReport):
    """What a version was trained on, and what it predicted for the 20 best classes of every video of the eval split."""

    FILE: ClassVar[str] = REFERENCE_FILE
    REMEDY: ClassVar[str] = "copy the version again, with all files"

    trained: DistributionPart = Field(description="The videos that were trained on.")
    scores: tuple[int, ...] = Field(
        (), description="Number of scores in each of 20 bins from 0 to 1; empty where nothing was predicted."
    )
    predicted: dict[int, float] = Field({}, description="Sum of the scores by class.")


def reference(data: str, ensemble: str | None) -> Reference | None:
    """Returns the reference of a version; None where an older step has left no distributions.

    Args:
        data: Directory of ExampleGen's report.
        ensemble: Directory of the EnsembleAssembler's report; None for a reference without predictions.
    """
    if not exists(posixpath.join(data, Distributions.FILE)):
        return None
    trained = Distributions.read(data).trained
    analysis = EnsembleReport.read(ensemble).analysis if ensemble else None
    if not analysis:
        return Reference(trained=trained)
    scores = tuple(one.pairs for one in analysis.calibration.bins)
    return Reference(trained=trained, scores=scores, predicted=analysis.predicted)
