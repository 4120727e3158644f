"""Families of models, by the prefixes of their names: `ARCHITECTURES.parse("K24-H1440")`."""

from trainer.architectures.architecture import Architecture
from trainer.architectures.chain import Chain
from trainer.architectures.dbof import Dbof
from trainer.architectures.gated_net_vlad import GatedNetVlad
from trainer.architectures.gru import Gru
from trainer.architectures.lstm import Lstm
from trainer.architectures.mlp import Mlp
from trainer.architectures.moe import Moe
from trainer.architectures.net_fv import NetFv
from trainer.architectures.next_vlad import NextVlad
from trainer.architectures.transformer import Transformer
from trainer.sized_name import Registry

__all__ = ["ARCHITECTURES", "Architecture"]

ARCHITECTURES: Registry[Architecture] = Registry(
    "an architecture",
    *(GatedNetVlad, NextVlad, NetFv, Dbof, Gru, Lstm, Transformer, Mlp, Moe, Chain),
)
"""All families. To add one: a module here, and its class in this list."""
