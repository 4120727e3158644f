"""Runs a compiled pipeline on this machine, task by task, as the Kubeflow Pipelines backend would."""
