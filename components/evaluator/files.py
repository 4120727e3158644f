"""Names of the files that the Evaluator adds to TFX's, for whoever reads them without importing TFMA."""

RESULTS_FILE = "results.json"
"""In the evaluation artifact: see `components.evaluator.results.read_results`."""

REASONS_FILE = "blessing_reasons.json"
"""In the blessing artifact: see `components.evaluator.blessing.verdict`."""
