import trainer  # noqa: F401  Before TensorFlow: it chooses the kernels.
