"""Models and their training: data, architectures, loss, metrics, snapshots. Nothing here imports TFX or Beam."""

import os

# TensorFlow's own choice is oneDNN's matrix products only where the CPU has AVX-512 VNNI; with AVX2 they are twice as
# fast as Eigen's, too. And oneDNN's allocator keeps large buffers: without it a training step of K16-H512 spends a
# third of its time in page faults. TensorFlow reads this when it is loaded, so it is set before that.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
