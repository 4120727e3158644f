"""The verb ``yt8m import-checkpoint``, which makes a SavedModel of a checkpoint of public TensorFlow 1 code."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from pipeline.cli.output import AsJson
from trainer.base.addresses import check_address, check_local
from trainer.base.directories import check_new, check_room
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.model_spec import ModelSpec

_logger = logging.getLogger("yt8m.import")

_SUM_TOLERANCE = 1e-6
"""A sum of weights that is this close to 1 is taken for 1: decimal fractions have no exact sum in binary."""


@dataclass(frozen=True)
class ChosenMember:
    """A model in a checkpoint.

    Attributes:
        number: The i of its scope model<i> or branch_<i>, 0 for the one without; None if the checkpoint holds a single
            model.
        spec: The model, a Gated NetVLAD or a NeXtVLAD.
        weight: The weight of its probabilities in those of the ensemble.
    """

    number: int | None
    spec: ModelSpec
    weight: float = 1.0


def import_checkpoint(
    prefix: Annotated[
        str,
        typer.Argument(
            help="Path of the checkpoint, with or without .index, or the directory whose newest one is taken."
        ),
    ],
    out: Annotated[str, typer.Option(help="Directory of the SavedModel to write; it must not exist.")],
    variant: Annotated[
        str | None,
        typer.Option(
            help="Architecture of the checkpoint's model, Kx-Hy; not together with --member i:Kx-Hy."
        ),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(
            metavar="i[:VARIANT[:WEIGHT]]",
            help="Member of an ensemble's checkpoint: i is the number in its scope model<i>, or 0 without "
            "a scope; of a mixture of NeXtVLADs, the i of branch_<i>. Repeated with architectures, and with "
            "weights or else equal ones, it makes one model of several members.",
        ),
    ] = None,
    eigenvalues: Annotated[
        str | None,
        typer.Option(
            help="File yt8m_pca/eigenvals.npy of the authors' code, for a NeXtVLAD with -N0.", metavar="FILE"
        ),
    ] = None,
    num_classes: Annotated[
        int, typer.Option(min=1, help="Number of classes that the model was trained on.")
    ] = NUM_CLASSES,
    as_json: AsJson = False,
) -> None:
    """Turns a TensorFlow 1 checkpoint of public code into a SavedModel that can be served and evaluated.

    Gated NetVLAD is read from checkpoints of the paper's code, NeXtVLAD from those of linrongc/youtube-8m. That code
    does not normalise frames, which -N0 at the end of the variant's name says, and scales their visual features by
    eigenvalues that lie beside it. Optimizer slots and the global step are left out. A tensor that is missing or of
    a wrong shape is named, and so is a damaged file. Weights of members whose sum is not 1 are scaled to it, and a
    line says so.

    \b
    Examples: yt8m import-checkpoint --variant K8-H256 train/model.ckpt-200000 --out imported/K8-H256
              yt8m import-checkpoint --member 0:K24-H1440:0.6 --member 1:K32-H1024:0.4 model.ckpt --out imported/YH
              yt8m import-checkpoint --variant NeXtVLAD-G8-K128-H2048-R8-N0 --eigenvalues yt8m_pca/eigenvals.npy \\
                  train/model.ckpt-700000 --out imported/NeXtVLAD
    """
    chosen = choose_members(variant, member or [], num_classes)
    check_address(prefix, "checkpoint", any_scheme=True)
    check_local(out, "--out")
    check_new(out, "--out")
    check_room(out, "--out", sum(one.spec.float32_bytes for one in chosen))

    from serving.export.saved_model import Member, write_saved_model
    from serving.server.models.warmup import write_warmup
    from trainer.base.full_disk import chosen_by
    from trainer.base.whole import whole_directory
    from trainer.checkpoints.tf1_checkpoint import read_eigenvalues, read_tf1_checkpoint

    scales = None if eigenvalues is None else read_eigenvalues(eigenvalues)
    members = [
        Member(
            spec=one.spec,
            weights=read_tf1_checkpoint(prefix, one.spec, one.number, scales),
            weight=one.weight,
        )
        for one in chosen
    ]
    with chosen_by("--out", out), whole_directory(out) as unfinished:
        card = write_saved_model(unfinished, members)
        write_warmup(unfinished)
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
    """Returns the members that the options name, with weights whose sum is 1.

    Args:
        variant: The architecture of a single model or a single member; None if the members name theirs.
        texts: Texts of the form `i`, `i:Kx-Hy` or `i:Kx-Hy:WEIGHT`.
        num_classes: The number of classes V of all members.

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
    """Returns the weights scaled to the sum 1, or equal ones if none is given."""
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
