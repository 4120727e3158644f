"""Predictions for whole files, by a model here or by a server."""
