"""Weights on disk: snapshots, their averages, the authors' TensorFlow 1 checkpoints."""
