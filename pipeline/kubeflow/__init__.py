"""Compiles, checks, submits and schedules the pipeline for open-source Kubeflow Pipelines, and runs its steps there."""
