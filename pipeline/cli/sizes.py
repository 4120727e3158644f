"""The verb ``yt8m sizes``, which says how large a variant is without training it."""

import json
from typing import Annotated, Any

import typer

from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES, Architecture
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec


def sizes(
    variants: Annotated[
        str | None,
        typer.Option(help="Names of variants, separated by commas. Default: the 18 of the paper's Table 1."),
    ] = None,
    families: Annotated[
        bool, typer.Option("--families", help="All families instead, and how their names are made.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON list on standard output instead of a table.")
    ] = False,
) -> None:
    """Prints the sizes of model variants in MiB: with all tensors in float32, and with the big ones in float16.

    \b
    Examples: yt8m sizes --variants K24-H1440,NeXtVLAD-G8-K112-H2048 --json
              yt8m sizes --families
    """
    if families:
        if variants is not None:
            raise UserError("--families lists all of them: leave out --variants, or --families")
        rows = [family_row(family) for family in ARCHITECTURES.kinds]
        typer.echo(json.dumps(rows, indent=2) if as_json else _families_table(rows))
        return
    chosen = TABLE1 if variants is None else [ARCHITECTURES.parse(name) for name in variants.split(",")]
    rows = [size_row(variant) for variant in chosen]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(12, *(len(row["variant"]) for row in rows))
    typer.echo(f"{'variant':<{width}} {'float32 MiB':>12} {'float16 MiB':>12} {'saved':>7} {'tensors':>8}")
    for row in rows:
        typer.echo(
            f"{row['variant']:<{width}} {row['float32_mib']:>12.2f} {row['float16_mib']:>12.2f} "
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


def family_row(family: type[Architecture]) -> dict[str, Any]:
    """One row of the list of families: how its names are made, and the size of its example."""
    example = size_row(ARCHITECTURES.parse(family.EXAMPLE))
    return {
        "family": family.PREFIX,
        "title": family.TITLE,
        "name": family.grammar(),
        "defaults": family.defaults(),
        "example": example["variant"],
        "float32_mib": example["float32_mib"],
        "float16_mib": example["float16_mib"],
    }


def _families_table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        lines += [
            row["name"],
            f"    {row['title']}",
            f"    {row['example']} has {row['float32_mib']:.2f} MiB in float32, {row['float16_mib']:.2f} in float16",
        ]
        if row["defaults"]:
            left_out = ", ".join(f"{size} {value}" for size, value in row["defaults"].items())
            lines.append(f"    left out: {left_out}")
    return "\n".join(lines)
