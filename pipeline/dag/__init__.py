"""Builds the TFX DAG of a recipe, which is the same wherever it runs."""
