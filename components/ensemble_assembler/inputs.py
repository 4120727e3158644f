"""Names of the inputs of which EnsembleAssembler has one a variant."""

MODEL = "model_"
"""A number follows. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a key."""
