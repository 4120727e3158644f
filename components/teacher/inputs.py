"""Names of the inputs that Teacher has one of for each model."""

MODEL = "model_"
"""A number follows. One key with many channels would be shorter, but Kubeflow Pipelines takes one producer a key."""
