"""Runs a verb of the command line."""

from typer.testing import CliRunner

from pipeline.cli.main import app


def run(*arguments: str) -> str:
    """Standard output of a verb; its exception is raised."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
