"""What a model is: variants, data, network, loss, metrics, training, snapshots. Imports no TFX and no Beam."""

import os

# TensorFlow's own choice is oneDNN's matrix products only where the CPU has AVX-512 VNNI; with AVX2 they are twice as
# fast as Eigen's, too. And its allocator keeps large buffers: without it a training step of K16-H512 spends a third of
# its time in page faults. Read when TensorFlow is loaded, so it is set before anything here imports that.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
