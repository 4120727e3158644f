"""The client of a Predict service."""
