"""Verbs of Kubeflow Pipelines: a pipeline as a file, tried here, and given to a cluster."""
