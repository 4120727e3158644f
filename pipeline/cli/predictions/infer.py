"""The verb ``yt8m infer``, which writes the predictions for whole data sets as a submission CSV or as Parquet."""

import dataclasses
import json
import logging
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options.beam_options import BeamSettings, beam_section
from pipeline.cli.options.connection import (
    CaFile,
    CertificateFile,
    KeyFile,
    ModelVersion,
    VersionLabel,
    check_no_tls,
    predictor_of,
)
from pipeline.cli.output import AsJson
from pipeline.cli.progress_lines import RejectLines, TimedLines
from trainer.base.errors import UserError
from trainer.base.full_disk import chosen_by

if TYPE_CHECKING:
    from serving.inference.batch_inference import Inference, Progress

_logger = logging.getLogger("yt8m.infer")


def infer(
    data: Annotated[
        list[str],
        typer.Option(help="File, or glob in quotes, of frame-level or video-level records. May be repeated."),
    ],
    out: Annotated[
        str,
        typer.Option(
            help="File to write: FILE.csv in the submission format, or FILE.parquet; local or gs://."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Directory of a SavedModel, or of versions; the model is loaded here, without a server."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Address of a server, HOST:PORT, instead of --model.")
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name by which the server knows the model.")] = "yt8m",
    model_version: ModelVersion = None,
    version_label: VersionLabel = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Number of videos in a request.")] = 32,
    concurrency: Annotated[int, typer.Option(min=1, help="Number of requests at the same time.")] = 2,
    timeout: Annotated[float, typer.Option(min=0.001, help="Most seconds that a request may take.")] = 60.0,
    tls_ca: CaFile = None,
    tls_certificate: CertificateFile = None,
    tls_key: KeyFile = None,
    beam: BeamSettings = None,
    as_json: AsJson = False,
) -> None:
    """Predicts the 20 best classes of all videos in many files, in the order of the input.

    After an interruption the same command goes on with the first file that was not done. Records that are no valid
    video are named on standard error, listed in OUT.rejects.jsonl, and left out. Second records of a video are left
    out, too, because a submission may name a video only once. With --beam many processes or machines share the files;
    the output is the same.

    \b
    Examples: yt8m infer --model models/demo/yt8m --data 'test/*.tfrecord' --out submission.csv
              yt8m infer --target localhost:8500 --data 'test/*.tfrecord' --out predictions.parquet
              yt8m infer --model models/demo/yt8m --data 'test/*.tfrecord' --out submission.csv --beam workers=4
    """
    from serving.inference.batch_inference import infer as infer_files
    from serving.inference.inference_parts import directory_identity
    from serving.inference.predictions_file import check_ending
    from trainer.base.files import expand

    if (model is None) == (target is None):
        both = "" if model is None else ", not both"
        raise UserError(f"give --model, a directory, or --target, a server{both}")
    check_ending(out)
    if beam:
        if model is None or version_label is not None:
            raise UserError("with --beam every worker loads the model: give --model, a directory")
        check_no_tls((tls_ca, tls_certificate, tls_key))
        with chosen_by("--out", out):
            result = _infer_with_beam(model, model_version, data, out, batch_size, beam)
        typer.echo(json.dumps(dataclasses.asdict(result), indent=2) if as_json else _text(result))
        return
    files = expand(data)
    lines = TimedLines(_logger)
    rejects = RejectLines(_logger, "the rejects file will name all of them")
    tls = (tls_ca, tls_certificate, tls_key)
    chosen = predictor_of(model, target or "", model_name, model_version, version_label, timeout, tls)
    with closing(chosen) as predictor, chosen_by("--out", out):
        version = model_version if version_label is None else version_label
        identity = f"{target} {model_name} {version}" if target else directory_identity(predictor.path)
        result = infer_files(
            predictor,
            identity,
            files,
            out,
            batch_size,
            concurrency,
            rejects.add,
            lambda progress: lines.say(f"infer: {progress_text(progress)}"),
        )
    typer.echo(json.dumps(dataclasses.asdict(result), indent=2) if as_json else _text(result))


def _infer_with_beam(
    model: str, version: int | None, data: list[str], out: str, batch_size: int, settings: list[str]
) -> "Inference":
    section = beam_section(settings)
    arguments = section.pipeline_args
    section.check_reachable()
    if section.runner == "DataflowRunner":
        for path in (model, out, *data):
            if not path.startswith("gs://"):
                raise UserError(
                    f"Dataflow's workers read and write gs:// only, not {path}: copy it to a bucket"
                )
    from trainer.base.files import expand

    files = expand(data)  # before the seconds that TensorFlow and Beam take
    from components.batch_inference.run import infer_with_beam
    from serving.store.model_store import whole_model_path

    path = whole_model_path(model, version)
    _logger.info("infer: %d files, by Beam's %s", len(files), section.runner)
    return infer_with_beam(path, files, out, arguments, batch_size)


def progress_text(progress: "Progress") -> str:
    """Returns a text with the number of videos, the speed, the share that is done, and the time left."""
    text = f"{progress.videos:,} videos, {progress.per_second:,.1f} a second, {progress.share:.0%}"
    if progress.seconds_left is None:
        return text
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{text}, {hours}:{minutes:02d}:{seconds:02d} left"


def _text(result: "Inference") -> str:
    lines = [f"{result.out}: {result.videos:,} videos of {result.files} files in {result.seconds:.1f} s"]
    if result.resumed_files:
        lines.append(f"{result.resumed_files} of the files were done by an earlier run")
    if result.rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.rejected_by_reason.items())
        lines.append(f"{result.rejected:,} records left out ({reasons}): see {result.rejects_file}")
    lines.extend(
        f"{loss.file} is {'lost' if loss.whole else 'cut'} ({loss.reason}): about {loss.videos:,} videos have no "
        "prediction"
        for loss in result.losses
    )
    lines.extend(f"{file} is a copy of {original}" for file, original in result.copies.items())
    return "\n".join(lines)
