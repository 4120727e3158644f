"""The verb ``yt8m report``, which writes the page of a run, or of several side by side."""

import json
import logging
from pathlib import Path
from types import NoneType
from typing import Annotated, Any

import typer

_logger = logging.getLogger("yt8m.report")


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Directory of runs, whose newest run is meant, DIRECTORY/RUN-ID, or a report.json. "
            "Several are compared."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            help="Path of the page. Default: report.html in the directory of the run, or comparison.html "
            "here."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Prints the numbers of the page as one JSON document on standard output."
        ),
    ] = False,
) -> None:
    """Writes what a run did and measured as one HTML page, and the same numbers as JSON beside it.

    The page needs no network and no server. A run that failed or that is still going on can be reported, too.

    \b
    Examples: yt8m report runs/demo
              yt8m report runs/demo runs/yhls/2026-01-02T03:04:05.678901 --out comparison.html
    """
    from jinja2 import TemplateError

    from trainer.base.addresses import check_local
    from trainer.base.errors import UserError

    if out is not None:
        check_local(out, "--out")
        if out.endswith(".json"):
            raise UserError(
                f"--out {out}: the page is HTML, its numbers go to a .json file beside it; name FILE.html"
            )
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        content = _load(run)
        if twice := [name for name, other in found.items() if _is_same(other, content)]:
            raise UserError(f"{run} is the same run as {twice[0]}: give runs that differ")
        found[run.rstrip("/")] = content
    try:
        content, page = _rendered(found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, TemplateError) as error:
        files = [run for run in runs if run.endswith(".json")]
        if not files:
            raise
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{', '.join(files)}: no whole report of a run ({what:.200}); give another file"
        ) from error
    target = Path(out) if out else _default(runs)
    write_page(target, page, content)
    typer.echo(json.dumps(content, indent=2) if as_json else f"Report: {target}")


def _rendered(reports: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Returns the content and the HTML of the page of one report, or of the comparison of several."""
    if len(reports) == 1:
        from components.run_report.page import render_page

        (content,) = reports.values()
        return content, render_page(content)
    from components.run_report.comparison.comparison import compare
    from components.run_report.comparison.comparison_page import render_comparison

    content = compare(reports)
    return content, render_comparison(content)


def write_page(target: Path, page: str, content: dict[str, Any]) -> None:
    """Writes a page, and its numbers as JSON beside it.

    Raises:
        UserError: If they cannot be written there.
    """
    from trainer.base.errors import UserError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
        target.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}; give another --out") from error


def write_report_of(root: str) -> Path | None:
    """Writes report.html and report.json of the newest run in a directory.

    Returns:
        The path of the page; None, after a warning, if it cannot be made: the outcome of a run must not depend on it.
    """
    from components.run_report.page import render_page
    from pipeline.local.report import find_run, local_report

    target = Path(root) / "report.html"
    try:
        content = local_report(find_run(root))
        write_page(target, render_page(content), content)
    except Exception as error:
        _logger.warning("there is no report: %s: %s", type(error).__name__, error)
        return None
    return target


def _load(run: str) -> dict[str, Any]:
    if not run.endswith(".json"):
        from pipeline.local.report import find_run, local_report

        return local_report(find_run(run))
    from components.run_report.files import parse_json
    from components.run_report.report import assemble_report
    from trainer.base.errors import UserError

    try:
        content = parse_json(Path(run).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{run} cannot be read as the report of a run: {error}") from error
    nothing = assemble_report()
    if not isinstance(content, dict) or content.keys() != nothing.keys():
        raise UserError(
            f"{run} is not the report of a run: give the report.json of a RunReport or of yt8m report"
        )
    for key, value in content.items():
        if not isinstance(value, (dict, list, NoneType) if nothing[key] is None else type(nothing[key])):
            raise UserError(
                f"{run} is no whole report of a run: its {key} is {value!r:.80}; give another report.json"
            )
    return content


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two reports are of the same run, be they written at different times."""
    if one["run"] and other["run"]:
        return all(one["run"][key] == other["run"][key] for key in ("pipeline", "run_id"))
    return one == other


def _default(runs: list[str]) -> Path:
    if len(runs) > 1:
        return Path("comparison.html")
    if runs[0].endswith(".json"):
        return Path(runs[0]).with_suffix(".html")
    from pipeline.local.report import find_run

    return find_run(runs[0]).base / "report.html"
