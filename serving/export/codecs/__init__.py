"""Stored forms of tensors, by name: `CODECS.parse("int4-b128")`."""

from serving.export.codecs.codec import VALUES, Codec
from serving.export.codecs.floats import Float16, Float32
from serving.export.codecs.integers import Int4, Int8
from serving.export.codecs.low_rank import LowRank
from serving.export.codecs.sparse import Sparse
from trainer.base.sized_name import Registry

__all__ = ["CODECS", "FLOAT16", "FLOAT32", "VALUES", "Codec"]

CODECS: Registry[Codec] = Registry("a codec", Float32, Float16, Int8, Int4, LowRank, Sparse)
"""All codecs. To add one: a module here, and its class in this list."""

FLOAT32, FLOAT16 = Float32(), Float16()
