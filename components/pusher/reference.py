"""What a pushed version says of its data and its predictions, for comparisons with later ones."""

import json
import posixpath
from typing import Any

from components.ensemble_assembler.report import EnsembleReport
from components.example_gen.distribution import DISTRIBUTIONS
from trainer.base.files import exists, open_file


def reference(data: str, ensemble: str | None) -> dict[str, Any] | None:
    """Returns the reference of a version as plain JSON values; None where an older step has left no distributions.

    It has `trained`, the distribution of the videos that were trained on (see `Distribution.document`), and of the 20
    best classes of every video of the eval split `scores`, the number of scores in each of 20 bins from 0 to 1, and
    `predicted`, the sum of the scores by class.

    Args:
        data: Directory of ExampleGen's report.
        ensemble: Directory of the EnsembleAssembler's report; None for a reference without predictions.
    """
    path = posixpath.join(data, DISTRIBUTIONS)
    if not exists(path):
        return None
    with open_file(path, "rb") as file:
        made = {"trained": json.loads(file.read())["trained"]}
    analysis = EnsembleReport.read(ensemble).analysis if ensemble else None
    if analysis:
        made["scores"] = [one.pairs for one in analysis.calibration.bins]
        made["predicted"] = analysis.predicted
    return made
