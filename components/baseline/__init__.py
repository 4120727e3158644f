"""Baseline: the model that is served now, as an artifact."""
