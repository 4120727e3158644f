"""Families of models, by the prefixes of their names: `ARCHITECTURES.parse("K24-H1440")`."""

from trainer.base.sized_name import Registry
from trainer.model.architectures.architecture import Architecture
from trainer.model.architectures.gated_net_vlad import GatedNetVlad

__all__ = ["ARCHITECTURES", "Architecture"]

ARCHITECTURES: Registry[Architecture] = Registry("an architecture", GatedNetVlad)
"""All families. To add one: a module here, and its class in this list."""
