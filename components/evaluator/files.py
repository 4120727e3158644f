"""Names of the files that the Evaluator adds to TFX's, for whoever reads them without importing TFMA."""

RESULTS_FILE = "results.json"
"""In the evaluation artifact: see `components.evaluator.results.read_results`."""

REASONS_FILE = "blessing_reasons.json"
"""In the blessing artifact: see `components.evaluator.blessing.verdict`."""

HOLDOUT = "holdout"
"""The split that nothing is trained or chosen on.

With one, the results have two more keys: `split`, which is this name, and `selection_gap`, the candidate's GAP on the
split `eval`, on which it was chosen (None where that is not known). Everything else in them is of the holdout.
"""
