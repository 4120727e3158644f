"""``yt8m models``: what is served from a directory, and how to go back."""

import json
from typing import Annotated, Any

import typer

from serving import model_store

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_Base = Annotated[str, typer.Argument(help="Directory of the model's versions.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.callback()
def _models() -> None:
    """The versions in a served directory: list them, serve an earlier one again, delete one.

    Example: yt8m models list models/demo
    """


@app.command("list")
def list_(base: _Base, as_json: _Json = False) -> None:
    """Lists the versions, oldest first; the newest is the one that servers serve.

    Example: yt8m models list models/demo --json
    """
    versions = [_describe(base, version) for version in model_store.list_versions(_existing(base))]
    if as_json:
        typer.echo(json.dumps({"versions": versions}, indent=2))
        return
    if not versions:
        typer.echo(f"{base} has no version yet")
        return
    typer.echo(f"{'version':>7}  {'GAP':>7}  {'MiB':>8}  members")
    for version in versions:
        gap = "" if version["gap"] is None else f"{version['gap']:.4f}"
        mib = "" if version["bytes"] is None else f"{version['bytes'] / 2**20:.2f}"
        served = "  <- served" if version["served"] else ""
        typer.echo(f"{version['version']:>7}  {gap:>7}  {mib:>8}  {', '.join(version['members'])}{served}")


@app.command()
def rollback(
    base: _Base,
    to: Annotated[int, typer.Option(help="The version whose content is to be served again.")],
    as_json: _Json = False,
) -> None:
    """Serves an earlier version again, by publishing its content as a new, newest version.

    Nothing is lost, and another rollback undoes it.

    Example: yt8m models rollback models/demo --to 3
    """
    published = model_store.rollback(_existing(base), to)
    if as_json:
        typer.echo(json.dumps({"version": published.version, "content_of": to, "created": published.created}))
    elif published.created:
        typer.echo(f"version {published.version} has the content of version {to} and is served now")
    else:
        typer.echo(f"version {published.version} is served already and has the content of version {to}")


@app.command()
def delete(
    base: _Base,
    version: Annotated[int, typer.Argument(help="The version to delete.")],
    force: Annotated[bool, typer.Option("--force", help="Also if it is the one being served.")] = False,
    as_json: _Json = False,
) -> None:
    """Deletes a version. Its number is not used again.

    Example: yt8m models delete models/demo 2
    """
    model_store.delete(_existing(base), version, force)
    served = model_store.latest_version(base)
    if as_json:
        typer.echo(json.dumps({"deleted": version, "served": served}))
    else:
        now = "nothing is left to serve" if served is None else f"version {served} is served"
        typer.echo(f"version {version} is deleted; {now}")


def _existing(base: str) -> str:
    import os

    from trainer.errors import UserError

    if not os.path.isdir(model_store.local_directory(base)):
        raise UserError(f"{base} is no directory: give the one that models are pushed to")
    return base


def _describe(base: str, version: int) -> dict[str, Any]:
    """What the card of a version says of it; nulls for a version without a card of ours."""
    path = model_store.version_path(base, version)
    card = _card(path)
    return {
        "version": version,
        "path": path,
        "served": version == model_store.latest_version(base),
        "gap": card.get("gap"),
        "bytes": card.get("bytes"),
        "members": [member["variant"] for member in card.get("members", [])],
    }


def _card(path: str) -> dict[str, Any]:
    import os

    # Not through ModelCard, whose gs:// access imports TensorFlow: listing takes a blink.
    try:
        with open(os.path.join(path, "assets.extra", "card.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}
