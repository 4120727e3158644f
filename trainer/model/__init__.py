"""What a model is: architectures, their layers, tensors and weights."""
