"""Units of sizes."""

MIB = 2**20
"""Sizes are in MiB, the paper's measure (its "MB" are 2**20 bytes)."""
LARGEST_MIB = 2**20
"""The largest limit of a model in MiB: 1 TiB. What is above was meant as bytes."""
