"""``yt8m import-checkpoint``: from the paper's own TensorFlow 1 code to a SavedModel of ours."""

import json
import os
from typing import Annotated

import typer

from trainer.addresses import check_local
from trainer.errors import UserError
from trainer.variant import MIB, Variant
from trainer.yt8m import NUM_CLASSES


def import_checkpoint(
    prefix: Annotated[str, typer.Argument(help="The checkpoint's path without .index, .meta or .data-...")],
    variant: Annotated[str, typer.Option(help="What it is a checkpoint of, Kx-Hy.")],
    out: Annotated[str, typer.Option(help="Directory of the SavedModel; must not exist.")],
    member: Annotated[
        int | None,
        typer.Option(
            min=0, help="Of an ensemble's checkpoint: the i of its scope model<i>; 0 is without one."
        ),
    ] = None,
    num_classes: Annotated[int, typer.Option(min=1, help="Classes it was trained on.")] = NUM_CLASSES,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Turns a TensorFlow 1 checkpoint of the authors' code into a SavedModel that can be served and evaluated.

    Optimizer slots and the global step are left out. A tensor that is missing or of a wrong shape is named.

    Example: yt8m import-checkpoint --variant K8-H256 train/model.ckpt-200000 --out imported/K8-H256
    """
    chosen = Variant.parse(variant)
    check_local(out, "--out")
    if os.path.exists(out):
        raise UserError(f"--out {out} exists already: give a new directory, or remove this one")

    from serving.saved_model import Member, write_saved_model
    from serving.warmup import write_warmup
    from trainer.tf1_checkpoint import read_tf1_checkpoint

    weights = read_tf1_checkpoint(prefix, chosen, member, num_classes)
    card = write_saved_model(out, [Member(variant=chosen, weights=weights)], num_classes)
    write_warmup(out)
    result = {"model": out, "variant": str(chosen), "tensors": len(weights), "bytes": card.bytes}
    typer.echo(
        json.dumps(result, indent=2)
        if as_json
        else f"{chosen}: {len(weights)} tensors, {card.bytes / MIB:.2f} MiB, written to {out}\n"
        f"Measure it: yt8m evaluate --model {out} --data 'FILES'"
    )
