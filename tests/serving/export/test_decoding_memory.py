"""Unpacking a tensor when a model is loaded takes at most twice the memory of the decoded tensor."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from serving.export.codecs import CODECS
from serving.export.decoded_tensor import DecodedTensor

pytestmark = pytest.mark.slow

NAMES = ["float16", "int8", "int4-b128", "lowrank-r256-int8", "sparse-k10-int8"]
SHAPE = (4000, 4096)
"""No whole number of int4's blocks."""
DECODED = 4 * SHAPE[0] * SHAPE[1]
SLACK = 12 * 2**20
"""The graph, and the runtime's own tables."""

_LOADER = """
import gc, json, sys, tensorflow as tf
def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
peaks = {}
for name in json.loads(sys.argv[2]):
    first = tf.saved_model.load(f"{sys.argv[1]}/{name}-small")  # what any first load takes
    first.read()  # by its own name: with the object go the decoded weights
    del first
    gc.collect()
    begin = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak is counted anew
    model = tf.saved_model.load(f"{sys.argv[1]}/{name}-big")
    peaks[name] = status("VmHWM") - begin
    model.read()
    del model
print(json.dumps(peaks))
"""


def write(directory, name, shape):
    codec, generator = CODECS.parse(name), np.random.default_rng(0)
    # Of the right shapes and types: to find the best factors would take a minute.
    parts = {
        part: generator.integers(0, 100, spec.shape).astype(spec.dtype)
        for part, spec in codec.layout(shape).items()
    }
    if "bitmap" in parts:  # as many bits in each column as values are kept
        bits = np.arange(shape[0]) < len(parts["kept"])
        parts["bitmap"][:] = np.packbits(bits, bitorder="little")[:, np.newaxis]

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.stored = {part: tf.Variable(value, trainable=False) for part, value in parts.items()}
            self.decoded = DecodedTensor(codec, self.stored, shape, f"memory/{name}/{shape}")

        @tf.function(input_signature=[])
        def read(self):
            return self.decoded.read()[0, 0]

    tf.saved_model.save(Model(), directory)
    return sum(value.nbytes for value in parts.values())


def test_peak_of_a_load(tmp_path):
    stored = {}
    for name in NAMES:
        write(str(tmp_path / f"{name}-small"), name, (64, 64))
        stored[name] = write(str(tmp_path / f"{name}-big"), name, SHAPE)
    done = subprocess.run(
        [sys.executable, "-c", _LOADER, str(tmp_path), json.dumps(NAMES)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        # What is freed goes back at once, or the next load would find it and count less. oneDNN brings an allocator
        # that keeps everything.
        env={
            **os.environ,
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "0",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        },
    )
    for name, peak in json.loads(done.stdout).items():
        beside = peak - stored[name]
        print(f"{name}: {beside / DECODED:.2f} x the decoded tensor beside the stored parts")
        assert beside >= DECODED - SLACK, f"{name}: less than what is decoded was counted"
        assert beside <= 2 * DECODED + SLACK, f"{name}: {beside / DECODED:.2f} x the decoded tensor"
