"""Families of models, by the prefixes of their names: `ARCHITECTURES.parse("K24-H1440")`."""

from trainer.base.sized_name import Registry
from trainer.model.architectures.architecture import Architecture
from trainer.model.architectures.chain import Chain
from trainer.model.architectures.dbof import Dbof
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.architectures.gru import Gru
from trainer.model.architectures.lstm import Lstm
from trainer.model.architectures.mlp import Mlp
from trainer.model.architectures.moe import Moe
from trainer.model.architectures.net_fv import NetFv
from trainer.model.architectures.next_vlad import NextVlad
from trainer.model.architectures.transformer import Transformer

__all__ = ["ARCHITECTURES", "Architecture"]

ARCHITECTURES: Registry[Architecture] = Registry(
    "an architecture",
    *(GatedNetVlad, NextVlad, NetFv, Dbof, Gru, Lstm, Transformer, Mlp, Moe, Chain),
)
"""All families. To add one: a module here, and its class in this list."""
