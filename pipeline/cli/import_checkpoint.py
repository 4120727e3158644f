"""``yt8m import-checkpoint``: from the paper's own TensorFlow 1 code to a SavedModel of ours."""

import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from trainer.base.addresses import check_local
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.model_spec import ModelSpec

_logger = logging.getLogger("yt8m.import")

_SUM_TOLERANCE = 1e-6
"""A sum of weights that is so close to 1 is 1: decimal fractions have no exact sum in binary."""


@dataclass(frozen=True)
class ChosenMember:
    """A model in a checkpoint.

    Attributes:
        number: The i of its scope model<i>, 0 for the one without; None where the checkpoint holds a single model.
        spec: What it is, a Gated NetVLAD.
        weight: Of its probabilities in the ensemble's.
    """

    number: int | None
    spec: ModelSpec
    weight: float = 1.0


def import_checkpoint(
    prefix: Annotated[
        str,
        typer.Argument(
            help="The checkpoint's path, with or without .index; or the directory of the newest one."
        ),
    ],
    out: Annotated[str, typer.Option(help="Directory of the SavedModel; must not exist.")],
    variant: Annotated[
        str | None, typer.Option(help="What it is a checkpoint of, Kx-Hy; not with --member i:Kx-Hy.")
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(
            metavar="i[:Kx-Hy[:WEIGHT]]",
            help="Of an ensemble's checkpoint: the i of its scope model<i>; 0 is without one. Repeated with variants "
            "(and weights, else equal ones) it makes one model of several members.",
        ),
    ] = None,
    num_classes: Annotated[int, typer.Option(min=1, help="Classes it was trained on.")] = NUM_CLASSES,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Turns a TensorFlow 1 checkpoint of the authors' code into a SavedModel that can be served and evaluated.

    Optimizer slots and the global step are left out. A tensor that is missing or of a wrong shape is named, and so is
    a damaged file. Weights of members whose sum is not 1 are scaled to it, and a line says so.

    \b
    Examples: yt8m import-checkpoint --variant K8-H256 train/model.ckpt-200000 --out imported/K8-H256
              yt8m import-checkpoint --member 0:K24-H1440:0.6 --member 1:K32-H1024:0.4 model.ckpt --out imported/YH
    """
    chosen = choose_members(variant, member or [], num_classes)
    check_local(out, "--out")
    if os.path.exists(out):
        raise UserError(f"--out {out} exists already: give a new directory, or remove this one")

    from serving.export.saved_model import Member, write_saved_model
    from serving.server.warmup import write_warmup
    from trainer.checkpoints.tf1_checkpoint import read_tf1_checkpoint

    members = [
        Member(spec=one.spec, weights=read_tf1_checkpoint(prefix, one.spec, one.number), weight=one.weight)
        for one in chosen
    ]
    card = write_saved_model(out, members)
    write_warmup(out)
    result = {
        "model": out,
        "variant": " + ".join(str(one.spec) for one in chosen),
        "members": [{"member": one.number, "variant": str(one.spec), "weight": one.weight} for one in chosen],
        "tensors": sum(len(one.weights) for one in members),
        "bytes": card.bytes,
    }
    names = " + ".join(f"{one.weight:.4g} {one.spec}" if len(chosen) > 1 else str(one.spec) for one in chosen)
    typer.echo(
        json.dumps(result, indent=2)
        if as_json
        else f"{names}: {result['tensors']} tensors, {card.bytes / MIB:.2f} MiB, written to {out}\n"
        f"Measure it: yt8m evaluate --model {out} --data 'FILES'"
    )


def choose_members(
    variant: str | None, texts: Sequence[str], num_classes: int = NUM_CLASSES
) -> list[ChosenMember]:
    """The members that the options name, their weights scaled to the sum 1.

    Args:
        variant: Of a single model or a single member.
        texts: `i`, `i:Kx-Hy` or `i:Kx-Hy:WEIGHT`.
        num_classes: V, of all members.

    Raises:
        UserError: If the options contradict each other, or a weight is not a number of at least 0.
    """
    if variant is not None:
        if len(texts) > 1 or (texts and ":" in texts[0]):
            raise UserError(
                "--variant is of a single model: for several give each its own, --member i:Kx-Hy:WEIGHT"
            )
        return [
            ChosenMember(
                _number(texts[0], texts[0]) if texts else None, ModelSpec.parse(variant, num_classes)
            )
        ]
    if not texts:
        raise UserError(
            "say what it is a checkpoint of: --variant Kx-Hy, or for each member of an ensemble --member i:Kx-Hy:WEIGHT"
        )
    found: dict[int, ChosenMember] = {}
    weights: list[float | None] = []
    for text in texts:
        one, weight = _parse(text, num_classes)
        if one.number in found:
            raise UserError(f"--member {text}: member {one.number} is given twice")
        found[one.number] = one
        weights.append(weight)
    return [replace(one, weight=weight) for one, weight in zip(found.values(), _scaled(weights), strict=True)]


def _parse(text: str, num_classes: int) -> tuple[ChosenMember, float | None]:
    number, *rest = text.split(":")
    if not 1 <= len(rest) <= 2:
        raise UserError(f"a member is i:Kx-Hy or i:Kx-Hy:WEIGHT, such as 1:K8-H256:0.6. Received: {text}")
    weight = None
    if len(rest) == 2:
        try:
            weight = float(rest[1])
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise UserError(
                f"--member {text}: its weight must be a number of at least 0. Received: {rest[1]}"
            )
    return ChosenMember(_number(number, text), ModelSpec.parse(rest[0], num_classes)), weight


def _number(number: str, text: str) -> int:
    if not (number.isascii() and number.isdecimal()):
        raise UserError(f"--member {text}: the number of a member is 0, 1, 2, ... Received: {number}")
    return int(number)


def _scaled(weights: Sequence[float | None]) -> list[float]:
    """The weights with the sum 1, equal ones where none is given."""
    given = [weight for weight in weights if weight is not None]
    if not given:
        return len(weights) * [1 / len(weights)]
    if len(given) < len(weights):
        raise UserError("give all members a weight, --member i:Kx-Hy:WEIGHT, or none, for equal ones")
    total = sum(given)
    if not 0 < total < math.inf:
        raise UserError(f"the weights of the members must have a positive, finite sum. Received: {total:g}")
    if abs(total - 1) <= _SUM_TOLERANCE:
        return given
    scaled = [weight / total for weight in given]
    _logger.warning("the weights' sum is %g: scaled to %s", total, ", ".join(f"{one:.4g}" for one in scaled))
    return scaled
