"""Fp16Compressor: a model with its four big tensors in float16, and proof that its GAP is the same."""
