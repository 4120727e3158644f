"""The verb ``yt8m sizes``, which says how large a variant is without training it."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES, Architecture
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec

USUAL_FORMS = (
    "float16",
    "int8",
    "int4-b32",
    "int4-b128",
    "int8+gating_prob/weights=lowrank-r256-int8",
    "int4-b128+gating_prob/weights=lowrank-r256-int8",
    "int4-b64+gating/weights=int8+gating_prob/weights=lowrank-r384-int8+hidden2/weights=int8",
)
"""What `--forms` shows, but for forms that name a tensor which none of the variants has."""


def sizes(
    variants: Annotated[
        str | None,
        typer.Option(help="Names of variants, separated by commas. Default: the 18 of the paper's Table 1."),
    ] = None,
    families: Annotated[
        bool, typer.Option("--families", help="All families instead, and how their names are made.")
    ] = False,
    forms: Annotated[
        list[str],
        typer.Option(
            "--form",
            help="A stored form to be shown, such as int8 or int4-b128+gating_prob/weights=lowrank-r256-int8; may be "
            "repeated.",
        ),
    ] = [],  # noqa: B006 - typer makes a list of its own
    all_forms: Annotated[
        bool, typer.Option("--forms", help="Show the usual stored forms, from float16 to the compact ones.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON list on standard output instead of a table.")
    ] = False,
) -> None:
    """Prints the sizes of model variants in MiB: with all tensors in float32, and with the big ones in float16 or other
    stored forms.

    \b
    Examples: yt8m sizes --variants K24-H1440,NeXtVLAD-G8-K112-H2048 --json
              yt8m sizes --variants K24-H1440,K32-H1024 --forms
              yt8m sizes --families
    """
    if families:
        if variants is not None or forms or all_forms:
            option = "--variants" if variants is not None else "--form" if forms else "--forms"
            raise UserError(
                f"--families lists all of them, in float32 and float16: leave out {option}, or --families"
            )
        rows = [family_row(family) for family in ARCHITECTURES.kinds]
        typer.echo(json.dumps(rows, indent=2) if as_json else _families_table(rows))
        return
    chosen = TABLE1 if variants is None else [ARCHITECTURES.parse(name) for name in variants.split(",")]
    shown = [*(_usual_forms(chosen) if all_forms else ()), *map(StoredForm.parse, forms)]
    if shown:
        _show_forms(chosen, shown, as_json)
        return
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


def _usual_forms(variants: Sequence[Architecture]) -> list[StoredForm]:
    known = {tensor.name for variant in variants for tensor in ModelSpec(variant).tensors}
    usual = map(StoredForm.parse, USUAL_FORMS)
    return [form for form in usual if known >= {name for name, _ in form.others}]


def _show_forms(variants: Sequence[Architecture], forms: Sequence[StoredForm], as_json: bool) -> None:
    specs = [ModelSpec(variant) for variant in variants]
    for form in forms:
        form.check(*specs)
    rows = [
        {
            "variant": spec.name,
            "float32_mib": round(spec.float32_bytes / MIB, 4),
            "forms": {form.name: round(stored_bytes(spec, form) / MIB, 4) for form in forms},
        }
        for spec in specs
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    # Names of forms are long: numbered columns, and what the numbers stand for.
    for number, form in enumerate(forms, 1):
        typer.echo(f"[{number}] {form}")
    heads = "".join(f"{f'[{number}] MiB':>10}" for number in range(1, len(forms) + 1))
    typer.echo(f"\n{'variant':<12} {'float32 MiB':>12}{heads}")
    for row in [*rows, _total(rows, forms)]:
        sizes = "".join(f"{row['forms'][form.name]:>10.2f}" for form in forms)
        typer.echo(f"{row['variant']:<12} {row['float32_mib']:>12.2f}{sizes}")


def _total(rows: Sequence[dict[str, Any]], forms: Sequence[StoredForm]) -> dict[str, Any]:
    return {
        "variant": "together",
        "float32_mib": sum(row["float32_mib"] for row in rows),
        "forms": {form.name: sum(row["forms"][form.name] for row in rows) for form in forms},
    }


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
    """Returns a row of the list of families: how its names are made, and the size of its example."""
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
