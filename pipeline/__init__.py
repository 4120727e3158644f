"""Recipes, the DAG, the runners and the command line."""

import trainer  # noqa: F401  Before TensorFlow: it chooses the kernels.
