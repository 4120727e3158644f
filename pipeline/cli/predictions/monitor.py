"""The verb ``yt8m monitor``, which compares a day's requests with what the served model was trained on."""

import json
import logging
import posixpath
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options.connection import CaFile, CertificateFile, KeyFile, check_no_tls, predictor_of
from pipeline.cli.output import AsJson
from pipeline.cli.progress_lines import RejectLines, TimedLines

if TYPE_CHECKING:
    from components.drift.report import DriftReport

_logger = logging.getLogger("yt8m.monitor")

_THRESHOLDS = {"scores": 0.02, "predicted": 0.02}


def monitor(
    data: Annotated[
        list[str],
        typer.Option(help="File, or glob in quotes, of the videos that were asked about. May be repeated."),
    ],
    model: Annotated[
        str, typer.Option(help="Directory of the served versions, local or gs://, which says what to expect.")
    ],
    target: Annotated[
        str | None, typer.Option(help="Address of the server, HOST:PORT. Default: the model is loaded here.")
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name by which the server knows the model.")] = "yt8m",
    model_version: Annotated[
        int | None, typer.Option(min=0, help="Number of the version. Default: the newest.")
    ] = None,
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            help="Largest value that is no drift, as MEASURE=VALUE. May be repeated; see docs/operating.md.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Number of videos in a request.")] = 32,
    timeout: Annotated[float, typer.Option(min=0.001, help="Most seconds that a request may take.")] = 60.0,
    tls_ca: CaFile = None,
    tls_certificate: CertificateFile = None,
    tls_key: KeyFile = None,
    fail: Annotated[bool, typer.Option("--fail", help="Ends with exit code 1 where there is drift.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compares videos, and the predictions that the served model makes for them, with its training data.

    Compared are lengths and features of the videos, labels where all have some, the distribution of the scores, and
    which classes are predicted. A line on standard error names what differs by more than is allowed.

    \b
    Example: yt8m monitor --target localhost:8500 --model models/yhls/yt8m --data 'requests/2026-03-01/*.tfrecord'
    """
    from pipeline.recipe.sections import DriftSection
    from serving.store.model_store import whole_model_path
    from trainer.base.errors import OutsideError
    from trainer.base.files import expand

    tls = (tls_ca, tls_certificate, tls_key)
    if target is None:
        check_no_tls(tls)
    allowed = _allowed(thresholds or (), DriftSection().thresholds | _THRESHOLDS)
    files = expand(data)
    path = whole_model_path(model, model_version)
    from components.drift.monitoring import monitor as compare_videos
    from components.drift.monitoring import read_reference

    reference = read_reference(path)
    name = posixpath.basename(path.rstrip("/"))
    version = int(name) if name.isdigit() else None
    rejects, lines = RejectLines(_logger, "further ones are not named"), TimedLines(_logger)
    with closing(
        predictor_of(
            path if target is None else None,
            target or "",
            model_name,
            None if target is None else version,
            None,
            timeout,
            tls,
        )
    ) as predictor:
        report = compare_videos(
            predictor,
            files,
            reference,
            allowed,
            version=version,
            batch_size=batch_size,
            on_reject=rejects.add,
            on_batch=lambda videos: lines.say(f"monitor: {videos:,} videos"),
        )
    typer.echo(json.dumps(report.document(), indent=2) if as_json else _text(report))
    if report.alert:
        _logger.warning("drift: %s", report.alert)
        if fail:
            raise OutsideError(report.alert)


def _allowed(given: list[str] | tuple[str, ...], known: dict[str, float]) -> dict[str, float]:
    from trainer.base.errors import UserError

    allowed = dict(known)
    for text in given:
        name, _, value = text.partition("=")
        try:
            allowed[name] = float(value)
        except ValueError:
            name = ""
        if name not in known or not allowed[name] >= 0:
            raise UserError(
                f"--threshold is MEASURE=VALUE with a value of at least 0, and a measure of {', '.join(known)}. "
                f"Received: {text!r}"
            )
    return allowed


def _text(report: "DriftReport") -> str:
    lines = [
        f"{report.videos:,} videos against the {report.served_videos:,} of version {report.served_version}"
    ]
    for one in report.measures:
        lines.append(
            f"  {one.name:<17} {one.value:.4f}  allowed {one.threshold:.4f}  {'DRIFT' if one.is_drift else 'none'}"
        )
    for one in report.moved[:5]:
        lines.append(f"  class {one.index}: {one.before:.2%} of the predictions before, {one.now:.2%} now")
    return "\n".join(lines)
