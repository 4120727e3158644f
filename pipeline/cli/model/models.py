"""The verb ``yt8m models``, which shows the versions in a directory or bucket and goes back to an earlier one."""

import json
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options.connection import CaFile, CertificateFile, KeyFile, check_no_tls, client_tls
from pipeline.cli.output import AsJson
from pipeline.cli.verb_group import VerbGroup
from serving.store import model_store
from serving.store.version_labels import check_label
from serving.store.version_store import GRAPH
from trainer.base.errors import UserError
from trainer.base.files import exists
from trainer.base.full_disk import chosen_by

if TYPE_CHECKING:
    from serving.client.client import VersionStatus
    from serving.store.version_store import Store

app = typer.Typer(cls=VerbGroup, add_completion=False, rich_markup_mode=None)

_Base = Annotated[str, typer.Argument(help="Directory of the model's versions, local or gs://.")]


@app.callback()
def _models() -> None:
    """Lists and verifies the versions of a served directory, rolls back to one, deletes one, or labels them.

    Example: yt8m models list models/demo/yt8m
    """


@app.command("list")
def list_(
    base: _Base,
    server: Annotated[
        str | None,
        typer.Option(
            help="Address of a server, HOST:PORT, which is asked for the versions that it really serves."
        ),
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name by which that server knows the model.")] = "yt8m",
    tls_ca: CaFile = None,
    tls_certificate: CertificateFile = None,
    tls_key: KeyFile = None,
    verify_files: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Whether to read all files, to say of each version if it is whole."
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Lists the versions, oldest first, with their state: whole, damaged, or no manifest (nobody can tell).

    Servers that follow the directory load the newest version. With --server a server is asked what it really serves.

    \b
    Examples: yt8m models list models/demo/yt8m --json
              yt8m models list models/demo/yt8m --server localhost:8500
    """
    served, tls = None, (tls_ca, tls_certificate, tls_key)
    if server is None:
        check_no_tls(tls)
    else:
        served = _ask(server, model_name, tls)
    store = _existing(base)
    there, labels = store.versions(), store.labels()
    versions = [_describe(store, version, there[-1], labels, served, verify_files) for version in there]
    elsewhere = sorted(version for version, status in (served or {}).items() if status.state == "available")
    elsewhere = [version for version in elsewhere if version not in there]
    if as_json:
        typer.echo(json.dumps({"versions": versions, "served_elsewhere": elsewhere}, indent=2))
        return
    if not versions:
        typer.echo(f"{base} has no version yet{model_store.versions_below(base)}")
    else:
        typer.echo(f"{'version':>7}  {'GAP':>7}  {'MiB':>8}  {'state':<11}  members")
    for version in versions:
        gap = "" if version["gap"] is None else f"{version['gap']:.4f}"
        mib = "" if version["bytes"] is None else f"{version['bytes'] / 2**20:.2f}"
        members = ", ".join(version["members"])
        cells = f"{version['version']:>7}  {gap:>7}  {mib:>8}  {version['state'] or '':<11}"
        typer.echo(f"{cells}  {members}{_marks(version)}".rstrip())
    for version in elsewhere:
        typer.echo(f"{server} serves version {version}, which is not in {base}")


@app.command()
def verify(
    base: _Base,
    versions: Annotated[
        list[int] | None, typer.Argument(metavar="[VERSION]...", help="Versions to verify. Default: all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Reads all files of versions and compares them with their manifests.

    The exit code is 2 if one is damaged. A version without a manifest was put there by other means than yt8m, so
    nobody can tell.

    Example: yt8m models verify models/demo/yt8m 3
    """
    store = _existing(base)
    there = store.versions()
    for version in versions or ():
        if version not in there:
            model_store.version_path(base, version)  # says which there are
    results = [(version, *model_store.verify(store, version)) for version in versions or there]
    if as_json:
        keys = ("version", "state", "problem")
        typer.echo(json.dumps({"versions": [dict(zip(keys, one, strict=True)) for one in results]}, indent=2))
    else:
        for version, state, problem in results:
            typer.echo(f"version {version}: {state}" + (f" ({problem})" if problem else ""))
    damaged = [str(version) for version, state, _ in results if state == model_store.DAMAGED]
    if damaged:
        raise UserError(
            f"{base}: damaged: version {', '.join(damaged)}; delete it (yt8m models delete) and publish the model "
            "again, or roll back to one that is whole (yt8m models rollback)"
        )


@app.command()
def rollback(
    base: _Base,
    to: Annotated[int, typer.Option(help="Version whose content is to be served again.")],
    as_json: AsJson = False,
) -> None:
    """Serves an earlier version again, by publishing its content as a new, newest version.

    Nothing is lost, and another rollback undoes it.

    Example: yt8m models rollback models/demo/yt8m --to 3
    """
    with _writing(base) as store:
        published = model_store.rollback(store.base, to)
    if as_json:
        typer.echo(json.dumps({"version": published.version, "content_of": to, "created": published.created}))
    elif published.created:
        typer.echo(
            f"version {published.version} has the content of version {to} and is the newest now: servers load it"
        )
    else:
        typer.echo(f"version {published.version} is the newest already and has the content of version {to}")


@app.command()
def delete(
    base: _Base,
    version: Annotated[int, typer.Argument(help="Version to delete.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Deletes the version even if it is the newest, which servers serve."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deletes a version that has no label. Its number is not used again.

    Example: yt8m models delete models/demo/yt8m 2
    """
    with _writing(base) as store:
        model_store.delete(store.base, version, force)
    newest = model_store.latest_version(base)
    if as_json:
        typer.echo(json.dumps({"deleted": version, "newest": newest}))
    else:
        now = "nothing is left to serve" if newest is None else f"version {newest} is the newest"
        typer.echo(f"version {version} is deleted; {now}")


@app.command()
def label(
    base: _Base,
    moves: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VERSION]...", help="Labels to set or move, such as stable=3."),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Label to remove. May be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Labels versions, so that clients can ask for stable or canary, or shows the labels.

    yt8m serve serves labelled versions beside the newest, and follows the labels without a restart. On Kubernetes
    the labels are settings, and the last line of the output says which.

    Example: yt8m models label models/demo/yt8m stable=3 canary=4
    """
    if moves or remove:
        moved = parse_labels(moves or [])
        if both := sorted(moved.keys() & (remove or ())):
            raise UserError(f"label {both[0]} is to be moved and to be removed: give one of the two")
        with _writing(base) as store:
            labels = model_store.label(store.base, moved, remove or ())
    else:
        labels = _existing(base).labels()
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
    """Returns the version of each label, from texts NAME=VERSION; raises UserError for anything else."""
    labels = {}
    for text in texts:
        name, _, version = text.partition("=")
        if not name or not version.isdecimal():
            raise UserError(f"a label is NAME=VERSION, such as stable=3. Received: {text}")
        check_label(name)
        if name in labels:
            raise UserError(f"label {name} is given twice; a label points to one version")
        labels[name] = int(version)
    return labels


def _existing(base: str) -> "Store":
    store = model_store.open_store(base)
    if not store.exists():
        raise UserError(f"{base} is no directory: give the one that models are pushed to")
    if not store.versions() and exists(posixpath.join(base, GRAPH)):
        raise UserError(f"{base} is a model itself: give the directory that its versions are in")
    return store


@contextmanager
def _writing(base: str) -> Iterator["Store"]:
    store = _existing(base)
    store.check_writable()
    with chosen_by("BASE", base):
        yield store


def _ask(
    server: str, model_name: str, tls: tuple[str | None, str | None, str | None]
) -> "dict[int, VersionStatus]":
    """Asks a server for the state of its versions, and returns it by number."""
    from serving.client.client import PredictClient

    with PredictClient(server, model_name, timeout=10.0, tls=client_tls(tls)) as client:
        return {status.version: status for status in client.versions()}


def _describe(
    store: "Store",
    version: int,
    newest: int,
    labels: dict[str, int],
    served: "dict[int, VersionStatus] | None",
    verify_files: bool,
) -> dict[str, Any]:
    """Returns a version as plain values; what its card does not say, or a server that was not asked, is null."""
    card = _card(store, version)
    state, problem = model_store.verify(store, version) if verify_files else (None, None)
    status = (served or {}).get(version)
    return {
        "version": version,
        "path": store.path(version),
        "newest": version == newest,
        "served": None if served is None else status is not None and status.state == "available",
        "server_error": status.error if status is not None and status.error else None,
        "state": state,
        "problem": problem or None,
        "labels": sorted(name for name in labels if labels[name] == version),
        "gap": card.get("gap"),
        "bytes": card.get("bytes"),
        "members": [member["variant"] for member in card.get("members", [])],
    }


def _marks(version: dict[str, Any]) -> str:
    marks = [name for name in ("newest", "served") if version[name]]
    if version["server_error"]:
        marks.append(f"the server cannot load it: {version['server_error']}")
    marks += version["labels"]
    return f"  <- {', '.join(marks)}" if marks else ""


def _card(store: "Store", version: int) -> dict[str, Any]:
    # Not through ModelCard, whose access to buckets imports TensorFlow: listing takes a blink.
    try:
        return json.loads(store.read(version, "assets.extra/card.json") or b"{}")
    except ValueError:
        return {}
