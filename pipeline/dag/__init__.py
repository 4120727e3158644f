"""The TFX DAG, built from a recipe."""
