"""The verb ``yt8m report``, which writes the page of a run, or of several side by side."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from components.report_file import ReportPart
    from components.run_report.document import RunDocument

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

    from trainer.base.addresses import check_local
    from trainer.base.directories import check_replaced
    from trainer.base.errors import UserError

    if out is not None:
        check_local(out, "--out")
        if out.endswith(".json"):
            raise UserError(
                f"--out {out}: the page is HTML, its numbers go to a .json file beside it; name FILE.html"
            )
        check_replaced(out, "--out", b"<!doctype html>", "page of yt8m report")
        numbers = str(Path(out).with_suffix(".json"))
        check_replaced(numbers, "--out", b'{\n "', "file of numbers, which stand beside the page")
    found: dict[str, RunDocument] = {}
    for run in runs:
        content = _load(run)
        if twice := [name for name, other in found.items() if _is_same(other, content)]:
            raise UserError(f"{run} is the same run as {twice[0]}: give runs that differ")
        found[run.rstrip("/")] = content
    if len(found) == 1:
        from components.run_report.page import render_page

        (content,) = found.values()
        page = render_page(content)
    else:
        from components.run_report.comparison.comparison import compare
        from components.run_report.comparison.comparison_page import render_comparison

        content = compare(found)
        page = render_comparison(content)
    target = Path(out) if out else _default(runs)
    write_page(target, page, content)
    typer.echo(json.dumps(content.document(), indent=2) if as_json else f"Report: {target}")


def write_page(target: Path, page: str, content: "ReportPart") -> None:
    """Writes a page, and its numbers as JSON beside it.

    Raises:
        UserError: If they cannot be written there.
    """
    from trainer.base.errors import UserError
    from trainer.base.full_disk import chosen_by
    from trainer.base.whole import whole_file

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        numbers = json.dumps(content.document(), indent=1) + "\n"
        # Both are whole before either replaces an older one.
        with (
            chosen_by("--out", str(target)),
            whole_file(str(target)) as new_page,
            whole_file(str(target.with_suffix(".json"))) as new_numbers,
        ):
            Path(new_page).write_text(page, encoding="utf-8")
            Path(new_numbers).write_text(numbers, encoding="utf-8")
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


def _load(run: str) -> "RunDocument":
    if not run.endswith(".json"):
        from pipeline.local.report import find_run, local_report

        return local_report(find_run(run))
    from components.report_file import read_document
    from components.run_report.document import RunDocument

    return read_document(run, RunDocument, "give the report.json of a RunReport or of yt8m report")


def _is_same(one: "RunDocument", other: "RunDocument") -> bool:
    """Whether two reports are of the same run, be they written at different times."""
    if one.run and other.run:
        return (one.run.pipeline, one.run.run_id) == (other.run.pipeline, other.run.run_id)
    return one == other


def _default(runs: list[str]) -> Path:
    if len(runs) > 1:
        return Path("comparison.html")
    if runs[0].endswith(".json"):
        return Path(runs[0]).with_suffix(".html")
    from pipeline.local.report import find_run

    return find_run(runs[0]).base / "report.html"
