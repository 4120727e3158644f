"""Predictions for whole files, by a model in this process or by a server."""
