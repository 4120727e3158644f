"""What verbs have in common in what they print: the option --json, and lists of things."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Prints one JSON document on standard output instead of text.")
]


def show_list(
    name: str,
    items: Sequence[dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    nothing: str,
    as_json: bool,
) -> None:
    """Prints a list on standard output.

    Args:
        name: The key of the list in the JSON document.
        items: The things to list, as plain values.
        line: Returns the line of one thing.
        nothing: What is printed in place of an empty list.
        as_json: Prints one JSON document instead of lines.
    """
    if as_json:
        typer.echo(json.dumps({name: items}, indent=2))
        return
    if not items:
        typer.echo(nothing)
    for item in items:
        typer.echo(line(item))
