"""The verb ``yt8m sizes``, which says how large a variant is without training it."""

import json
from typing import Annotated, Any

import typer

from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES, Architecture
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec


def sizes(
    variants: Annotated[
        str | None,
        typer.Option(help="Names of variants, separated by commas. Default: the 18 of the paper's Table 1."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON list on standard output instead of a table.")
    ] = False,
) -> None:
    """Prints the sizes of model variants in MiB: with all tensors in float32, and with the big ones in float16.

    Example: yt8m sizes --variants K24-H1440,K32-H1024 --json
    """
    chosen = TABLE1 if variants is None else [ARCHITECTURES.parse(name) for name in variants.split(",")]
    rows = [size_row(variant) for variant in chosen]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(f"{'variant':<12} {'float32 MiB':>12} {'float16 MiB':>12} {'saved':>7} {'tensors':>8}")
    for row in rows:
        typer.echo(
            f"{row['variant']:<12} {row['float32_mib']:>12.2f} {row['float16_mib']:>12.2f} "
            f"{row['rate']:>7.1%} {row['tensors']:>8}"
        )


def size_row(variant: Architecture) -> dict[str, Any]:
    """Returns one row of the table: sizes in MiB, and as ``rate`` the share that float16 saves (paper, Table 1)."""
    spec = ModelSpec(variant)
    float32, float16 = spec.float32_bytes, stored_bytes(spec, FLOAT16)
    return {
        "variant": variant.name,
        "float32_mib": round(float32 / MIB, 4),
        "float16_mib": round(float16 / MIB, 4),
        "rate": round(1 - float16 / float32, 6),
        "tensors": len(spec.tensors),
    }
