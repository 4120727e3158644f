"""Publishing processes that start in a moment, and what a reader must find whatever happens to them."""

import hashlib
import multiprocessing
import os

from serving.store.gcs_store import GcsStore
from serving.store.manifest import MANIFEST, check_digests, decode_manifest
from serving.store.model_store import publish

LEASE_SECONDS = 0.5
"""Of publishers in a bucket that are killed here."""

# Children are forked from a process that has imported this module and nothing of TensorFlow or gRPC.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start_publisher(source: str, base: str) -> multiprocessing.Process:
    """A process that publishes once and ends with 0."""
    process = _CONTEXT.Process(target=_run, args=(source, base, os.environ.get("STORAGE_EMULATOR_HOST")))
    process.start()
    return process


def _run(source: str, base: str, host: str | None) -> None:
    if host is None:
        publish(source, base)
        return
    os.environ["STORAGE_EMULATOR_HOST"] = host
    GcsStore(base, LEASE_SECONDS).add(source, {})


def check_versions(objects: dict[str, bytes]) -> None:
    """Raises unless every version among the objects of a bucket is whole."""
    for graph in (name for name in objects if name.endswith("/saved_model.pb")):
        base = graph.removesuffix("saved_model.pb")
        files = {name.removeprefix(base): objects[name] for name in objects if name.startswith(base)}
        manifest = files.pop(MANIFEST, None)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        check_digests(manifest and decode_manifest(manifest), digests, base)
