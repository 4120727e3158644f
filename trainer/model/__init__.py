"""Models: architectures, their layers, tensors and weights."""
