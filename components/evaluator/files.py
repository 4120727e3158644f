"""Names of the files that the Evaluator adds to TFX's, for whoever reads them without importing TFMA."""

RESULTS_FILE = "results.json"
"""Name of a file in the evaluation artifact; see `components.evaluator.report.EvaluationResults`."""

HOLDOUT = "holdout"
"""Name of the split that nothing is trained on and nothing is chosen by. Where a run has it, the Evaluator measures
candidate and served model on it, and not on `eval`."""
