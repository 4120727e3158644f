"""``yt8m export``: a model as one file for phones, small computers and edge servers."""

import dataclasses
import json
import os
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from pipeline.cli.guard import is_verbose
from pipeline.cli.output import AsJson
from pipeline.cli.quiet_import import without_log_lines
from serving.export.device_weights import DeviceWeights
from trainer.base.directories import check_file
from trainer.base.errors import UserError
from trainer.base.units import MIB


def export(
    model: Annotated[
        str, typer.Argument(help="Directory of a SavedModel, or of versions, of which the newest is taken.")
    ],
    out: Annotated[str, typer.Option(help="Path of the file; a .tflite or .onnx file there is replaced.")],
    litert: Annotated[bool, typer.Option("--litert", help="Writes a LiteRT file (.tflite).")] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Writes an ONNX file, with weights of float32 or int8.")
    ] = False,
    weights: Annotated[DeviceWeights, typer.Option(help="How the kernels are stored.")] = DeviceWeights.INT8,
    check: Annotated[
        list[str],
        typer.Option(help="File or quoted glob of labelled videos that the file is checked with."),
    ] = [],  # noqa: B006 - typer makes a list of its own
    videos: Annotated[int, typer.Option(min=20, help="The first so many videos of --check are taken.")] = 200,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Writes the file without a check.")] = False,
    as_json: AsJson = False,
) -> None:
    """Writes a model of ours, a single one or an ensemble, as one file that a device runs without TensorFlow.

    The same videos go through TensorFlow and through LiteRT's interpreter or ONNX Runtime, and a file that loses GAP is
    not written.

    \b
    Example: yt8m export --litert models/yt8m --out yt8m.tflite --check 'validate*.tfrecord'
             yt8m predict FILE.tfrecord --litert yt8m.tflite
    """
    if litert == onnx:
        raise UserError(
            "say what to write: --litert for phones and small computers, or --onnx for ONNX Runtime"
        )
    if bool(check) == unchecked:
        raise UserError(
            "give --check FILES, labelled videos that the file is checked with (200 are enough), or else --unchecked"
        )
    if "://" in out or os.path.isdir(out) or not os.path.isdir(os.path.dirname(out) or "."):
        raise UserError(f"--out {out}: give the path of a file in a local directory that exists")
    check_file(out, "--out")
    ending, other = (".onnx", ".tflite") if onnx else (".tflite", ".onnx")
    if out.endswith(other):
        raise UserError(
            f"--out {out}: {'--onnx' if onnx else '--litert'} writes no {other} file: give another name, or the other "
            "of --litert and --onnx"
        )
    if os.path.isfile(out) and not out.endswith(ending):  # such as a file of the model itself
        raise UserError(
            f"--out {out} is there and is no {ending} file: name another file, or move that one away"
        )

    from serving.store.model_store import whole_model_path
    from trainer.base.files import expand
    from trainer.base.full_disk import chosen_by

    files = expand(check) if check else []
    directory = whole_model_path(model)

    with chosen_by("--out", out):
        result = _export(directory, out, onnx, weights, files, videos)
    typer.echo(json.dumps(result, indent=2) if as_json else _text(result))


def _export(
    directory: str, out: str, onnx: bool, weights: DeviceWeights, files: list[str], videos: int
) -> dict[str, Any]:
    from serving.export.card import ModelCard
    from serving.inference.device_export import export_litert, export_onnx

    card = ModelCard.load(directory)
    # The converter's own lines come from C++, before its log is set up.
    with nullcontext() if is_verbose() else without_log_lines():
        check = (export_onnx if onnx else export_litert)(directory, out, weights, files, videos)
    return {
        "file": out,
        "weights": weights,
        "bytes": os.path.getsize(out),
        "variants": [member.variant for member in card.members],
        "source_bytes": card.bytes,
        "check": check and dataclasses.asdict(check) | {"gap_lost": check.gap_lost},
        "summary": str(check) if check else "it was not checked: yt8m export --check FILES does so",
    }


def _text(result: dict[str, Any]) -> str:
    return (
        f"{result['file']}: {' + '.join(result['variants'])} with weights of {result['weights']}, "
        f"{result['bytes'] / MIB:.2f} MiB (the SavedModel's tensors take {result['source_bytes'] / MIB:.2f})\n"
        f"{result['summary']}"
    )
