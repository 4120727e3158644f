"""Names of the inputs that EnsembleAssembler has one of for each variant."""

MODEL = "model_"
"""A number follows. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a key."""
