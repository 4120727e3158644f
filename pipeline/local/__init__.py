"""Runs the pipeline on this machine: the checks before it, the runner, the live view, the record and the report."""
