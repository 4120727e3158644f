"""The forms that a file for devices stores its weights in; here, so that their names are known without TensorFlow."""

from enum import StrEnum

from trainer.base.units import MIB

LARGEST = 2**31 - 64 * MIB
"""Bytes of float32 weights that converters can put into one file, whose offsets have 31 bits."""


class DeviceWeights(StrEnum):
    """How the kernels of fully connected layers are stored, and what the interpreter multiplies them with.

    In int8 and int4 each output has a scale of its own, and the inputs are rounded to 8 bits as they come: the
    interpreter multiplies whole numbers and never decodes a kernel. Kernels of float16 are decoded at the start.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    INT4 = "int4"
