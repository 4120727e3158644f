"""Versions of a model in a directory or a bucket."""
