"""Units of sizes."""

MIB = 2**20
"""Sizes are in MiB, the paper's measure (its "MB" are 2**20 bytes)."""
