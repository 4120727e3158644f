"""``yt8m models``: what is served from a directory or a bucket, and how to go back."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving import model_store

if TYPE_CHECKING:
    from serving.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_Base = Annotated[str, typer.Argument(help="Directory of the model's versions, local or gs://.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.callback()
def _models() -> None:
    """The versions in a served directory: list them, serve an earlier one again, delete one, name them.

    Example: yt8m models list models/demo
    """


@app.command("list")
def list_(base: _Base, as_json: _Json = False) -> None:
    """Lists the versions, oldest first; the newest is the one that servers serve.

    Example: yt8m models list models/demo --json
    """
    store = _existing(base)
    there, labels = store.versions(), store.labels()
    versions = [_describe(store, version, version == there[-1], labels) for version in there]
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
        marks = [*(["served"] if version["served"] else []), *version["labels"]]
        mark = f"  <- {', '.join(marks)}" if marks else ""
        typer.echo(f"{version['version']:>7}  {gap:>7}  {mib:>8}  {', '.join(version['members'])}{mark}")


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
    published = model_store.rollback(_existing(base).base, to)
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
    """Deletes a version that has no label. Its number is not used again.

    Example: yt8m models delete models/demo 2
    """
    model_store.delete(_existing(base).base, version, force)
    served = model_store.latest_version(base)
    if as_json:
        typer.echo(json.dumps({"deleted": version, "served": served}))
    else:
        now = "nothing is left to serve" if served is None else f"version {served} is served"
        typer.echo(f"version {version} is deleted; {now}")


@app.command()
def label(
    base: _Base,
    moves: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VERSION]...", help="Labels to set or move.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A label to take away; may be repeated.")] = None,
    as_json: _Json = False,
) -> None:
    """Names versions, so that clients can ask for stable or canary; without a change it shows the names.

    yt8m serve serves labelled versions beside the newest, and follows the labels without a restart. On Kubernetes
    labels are settings, and the last line says which.

    Example: yt8m models label models/demo stable=3 canary=4
    """
    store = _existing(base)
    labels = store.labels()
    if moves or remove:
        labels = model_store.label(base, parse_labels(moves or []), remove or ())
    if as_json:
        typer.echo(json.dumps({"labels": labels}, indent=2))
        return
    for name, version in sorted(labels.items()):
        typer.echo(f"{name} -> version {version}")
    settings = [f"{name.upper()}_VERSION={labels[name]}" for name in ("stable", "canary") if name in labels]
    typer.echo(
        f"in k8s/settings/settings.env: {' '.join(settings)}" if settings else "no label stable or canary"
    )


def parse_labels(texts: Sequence[str]) -> dict[str, int]:
    """Version by label, of NAME=VERSION; UserError for anything else."""
    from trainer.errors import UserError

    labels = {}
    for text in texts:
        name, _, version = text.partition("=")
        if not name or not version.isdecimal():
            raise UserError(f"a label is NAME=VERSION, such as stable=3. Received: {text}")
        labels[name] = int(version)
    return labels


def _existing(base: str) -> "Store":
    from trainer.errors import UserError

    store = model_store.open_store(base)
    if not store.exists():
        raise UserError(f"{base} is no directory: give the one that models are pushed to")
    return store


def _describe(store: "Store", version: int, served: bool, labels: dict[str, int]) -> dict[str, Any]:
    """What the card of a version says of it; nulls for a version without a card of ours."""
    card = _card(store, version)
    return {
        "version": version,
        "path": store.path(version),
        "served": served,
        "labels": sorted(name for name in labels if labels[name] == version),
        "gap": card.get("gap"),
        "bytes": card.get("bytes"),
        "members": [member["variant"] for member in card.get("members", [])],
    }


def _card(store: "Store", version: int) -> dict[str, Any]:
    # Not through ModelCard, whose access to buckets imports TensorFlow: listing takes a blink.
    try:
        return json.loads(store.read(version, "assets.extra/card.json") or b"{}")
    except ValueError:
        return {}
