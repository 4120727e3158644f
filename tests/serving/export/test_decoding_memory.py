"""Unpacking a tensor when a model is loaded takes at most twice the memory of the decoded tensor."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from serving.export.codecs import CODECS
from serving.export.decoded_tensor import DecodedTensor

pytestmark = pytest.mark.slow

SHAPE = (4096, 8192)
DECODED = 4 * SHAPE[0] * SHAPE[1]
SLACK = 24 * 2**20
"""The graph, the runtime's own threads and tables, and pages that an allocator keeps."""

_LOADER = """
import sys, tensorflow as tf
def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
tf.saved_model.load(sys.argv[1]).read()  # what any first load takes
begin = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted anew
model = tf.saved_model.load(sys.argv[2])
print(status("VmHWM") - begin)
"""


def write(directory, name, shape):
    codec = CODECS.parse(name)
    generator = np.random.default_rng(0)
    if name.startswith("lowrank"):  # of the right shapes: to find the best factors would take a minute
        parts = {
            part: generator.integers(0, 100, spec.shape).astype(spec.dtype)
            for part, spec in codec.layout(shape).items()
        }
    else:
        parts = codec.encode(generator.standard_normal(shape, np.float32))

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


@pytest.mark.parametrize("name", ["float16", "int8", "int4-b128", "lowrank-r256-int8", "sparse-k10-int8"])
def test_peak_of_a_load(tmp_path, name):
    write(str(tmp_path / "small"), name, (64, 64))
    stored = write(str(tmp_path / "big"), name, SHAPE)
    done = subprocess.run(
        [sys.executable, "-c", _LOADER, str(tmp_path / "small"), str(tmp_path / "big")],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    peak = int(done.stdout)
    assert peak >= DECODED, "less than what is decoded was counted"
    assert peak <= stored + 2 * DECODED + SLACK, f"{(peak - stored) / DECODED:.2f} x the decoded tensor"
    print(f"{name}: {(peak - stored) / DECODED:.2f} x the decoded tensor beside the stored parts")
