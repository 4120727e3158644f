"""Runs on this machine: runner, live view, record and report."""
