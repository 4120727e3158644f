"""``yt8m import-checkpoint``: from the TensorFlow 1 code of a paper to a SavedModel of ours."""

import json
import os
from typing import Annotated

import typer

from trainer.errors import UserError
from trainer.model_spec import ModelSpec
from trainer.units import MIB
from trainer.yt8m import NUM_CLASSES


def import_checkpoint(
    prefix: Annotated[str, typer.Argument(help="The checkpoint's path without .index, .meta or .data-...")],
    variant: Annotated[str, typer.Option(help="What it is a checkpoint of, such as K24-H1440.")],
    out: Annotated[str, typer.Option(help="Directory of the SavedModel; must not exist.")],
    member: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of an ensemble's checkpoint: the i of its scope model<i>; 0 is without one. Of a mixture of "
            "NeXtVLADs: the i of branch_<i>.",
        ),
    ] = None,
    eigenvalues: Annotated[
        str | None,
        typer.Option(
            help="Of a NeXtVLAD with -N0: yt8m_pca/eigenvals.npy of its authors' code.", metavar="FILE"
        ),
    ] = None,
    num_classes: Annotated[int, typer.Option(min=1, help="Classes it was trained on.")] = NUM_CLASSES,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Turns a TensorFlow 1 checkpoint of public code into a SavedModel that can be served and evaluated.

    Gated NetVLAD is read from checkpoints of the paper's code, NeXtVLAD from those of linrongc/youtube-8m. That code
    does not normalise frames, which -N0 at the end of the variant's name says, and scales their visual features by
    eigenvalues that lie beside it. Optimizer slots and the global step are left out. A tensor that is missing or of
    a wrong shape is named.

    \b
    Examples: yt8m import-checkpoint --variant K8-H256 train/model.ckpt-200000 --out imported/K8-H256
              yt8m import-checkpoint --variant NeXtVLAD-G8-K128-H2048-R8-N0 --eigenvalues yt8m_pca/eigenvals.npy \\
                  train/model.ckpt-700000 --out imported/NeXtVLAD
    """
    chosen = ModelSpec.parse(variant, num_classes)
    if os.path.exists(out):
        raise UserError(f"--out {out} exists already: give a new directory, or remove this one")

    from serving.saved_model import Member, write_saved_model
    from serving.warmup import write_warmup
    from trainer.tf1_checkpoint import read_eigenvalues, read_tf1_checkpoint

    scales = None if eigenvalues is None else read_eigenvalues(eigenvalues)
    weights = read_tf1_checkpoint(prefix, chosen, member, scales)
    card = write_saved_model(out, [Member(spec=chosen, weights=weights)])
    write_warmup(out)
    result = {"model": out, "variant": str(chosen), "tensors": len(weights), "bytes": card.bytes}
    typer.echo(
        json.dumps(result, indent=2)
        if as_json
        else f"{chosen}: {len(weights)} tensors, {card.bytes / MIB:.2f} MiB, written to {out}\n"
        f"Measure it: yt8m evaluate --model {out} --data 'FILES'"
    )
