"""``yt8m compress``: an existing model with its big tensors in fewer bytes."""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.export.stored_form import StoredForm
from trainer.base.addresses import check_address, check_local
from trainer.base.errors import UserError
from trainer.base.units import LARGEST_MIB, MIB

_CALIBRATION_VIDEOS = 3000


def compress(
    model: Annotated[
        str, typer.Argument(help="Directory of a SavedModel, or of versions, of which the newest is taken.")
    ],
    to: Annotated[
        str,
        typer.Option(
            help="Stored form: float16, int8, int4-b128, lowrank-r256-int8, sparse-k10-int8, ...; a tensor may have "
            "its own: int4-b128+gating_prob/weights=lowrank-r256-int8."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            help="Directory of the smaller SavedModel; must not exist. Default: MODEL with the form's name behind it.",
            show_default=False,
        ),
    ] = None,
    limit_mib: Annotated[
        float | None,
        typer.Option(min=0, max=LARGEST_MIB, help="Refuse to write a model whose tensors take more."),
    ] = None,
    calibrate: Annotated[
        list[str],
        typer.Option(help="File or quoted glob of videos that codecs round by; not those of --evaluate."),
    ] = [],  # noqa: B006 - typer makes a list of its own
    evaluate: Annotated[
        list[str],
        typer.Option(help="File or quoted glob of videos that GAP is measured on, before and after."),
    ] = [],  # noqa: B006
    calibration_videos: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"The first so many videos of --calibrate are looked at. Default: {_CALIBRATION_VIDEOS}.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Writes a model of ours, a single one or an ensemble, in a smaller stored form.

    Example: yt8m compress models/yt8m --to int4-b128 --calibrate 'train*.tfrecord' --evaluate 'validate*.tfrecord'
    """
    form = StoredForm.parse(to)
    check_address(model, "model", any_scheme=True)
    out = out or f"{model.rstrip('/')}-{re.sub('[^a-z0-9]+', '-', form.name)}"
    check_local(out, "--out")
    if calibration_videos is not None and not calibrate:
        raise UserError("--calibration-videos says how many of --calibrate: give both, or neither")
    from trainer.base.directories import check_new
    from trainer.base.files import expand

    # Not resolve(), which raises an error for a link that leads back to itself.
    if inside := [
        str(place) for place in Path(os.path.realpath(out)).parents if (place / "saved_model.pb").is_file()
    ]:
        raise UserError(
            f"--out {out} lies in a model, {inside[0]}, which would be damaged: give a directory outside"
        )
    check_new(out, "--out")

    calibration_files = expand(calibrate) if calibrate else []
    evaluation_files = expand(evaluate) if evaluate else []
    both = sorted(set(calibration_files) & set(evaluation_files))
    if both:
        raise UserError(
            f"{both[0]} stands in --calibrate and in --evaluate: a model is measured on other videos than it was "
            "rounded by"
        )

    videos = calibration_videos or _CALIBRATION_VIDEOS
    result = _compress(model, out, form, limit_mib, calibration_files, evaluation_files, videos)
    typer.echo(json.dumps(result, indent=2) if as_json else _text(result))


def _compress(
    model: str,
    out: str,
    form: StoredForm,
    limit_mib: float | None,
    calibration_files: list[str],
    evaluation_files: list[str],
    calibration_videos: int,
) -> dict[str, Any]:
    from serving.export.card import ModelCard
    from serving.export.compression import stored_bytes
    from serving.store.model_store import whole_model_path
    from trainer.base.directories import check_room

    source = whole_model_path(model)
    card = ModelCard.load(source)
    specs = [card.spec(index) for index in range(len(card.members))]
    form.check(*specs)
    # Known before anything is read: a form's bytes do not depend on the weights.
    needed = sum(stored_bytes(spec, form) for spec in specs)
    if limit_mib is not None and needed > limit_mib * MIB:
        raise UserError(
            f"{source} takes {needed / MIB:.2f} MiB in {form}, over --limit-mib {limit_mib:g}: choose a smaller form "
            "(yt8m sizes --forms shows some)"
        )

    check_room(out, "--out", needed)
    from serving.inference.recompression import recompress
    from trainer.base.full_disk import chosen_by
    from trainer.base.whole import whole_directory

    with chosen_by("--out", out), whole_directory(out) as unfinished:
        written, seen = recompress(source, unfinished, form, calibration_files, calibration_videos)
    result: dict[str, Any] = {
        "model": out,
        "form": form.name,
        "variants": [member.variant for member in written.members],
        "source_bytes": card.bytes,
        "bytes": written.bytes,
        "calibration_videos": seen,
    }
    if evaluation_files:
        from pipeline.cli.model.evaluate import measure

        before, after = (measure(directory, evaluation_files)["gap"] for directory in (source, out))
        result |= {"gap_before": before, "gap_after": after, "gap_lost": before - after}
    return result


def _text(result: dict[str, Any]) -> str:
    lines = [
        f"{' + '.join(result['variants'])}: {result['source_bytes'] / MIB:.2f} MiB before, "
        f"{result['bytes'] / MIB:.2f} in {result['form']}, written to {result['model']}"
    ]
    if result["calibration_videos"]:
        lines.append(f"rounded by the activations of {result['calibration_videos']:,} videos")
    if "gap_lost" in result:
        lines.append(
            f"GAP {result['gap_before']:.5f} before, {result['gap_after']:.5f} after: {result['gap_lost']:.5f} lost"
        )
    else:
        lines.append(f"Measure it: yt8m evaluate --model {result['model']} --data 'FILES'")
    return "\n".join(lines)
