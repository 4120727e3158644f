"""Which version of a model is loaded, and how it is exchanged for another."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.model_store import latest_version, local_directory, served_version
from serving.servable import Servable
from trainer.errors import UserError

_log = logging.getLogger("yt8m.serving")

ATTEMPTS = 6
"""Loads of one version, as in TensorFlow Serving: one and five retries, then never again."""


@dataclass(frozen=True)
class VersionState:
    """What GetModelStatus tells of a version.

    Attributes:
        version: Number.
        state: Of ModelVersionStatus.
        error: Why it did not load; empty otherwise.
    """

    version: int
    state: int
    error: str = ""


class ModelManager:
    """Serves the latest version in a directory, and looks there for a newer one.

    A new version is loaded whole before it takes over; the old one is unloaded when its last request has
    finished. When the directory has no version any more, the one that is loaded stays.

    Args:
        name: Of the model.
        base_path: Directory of its versions.
        poll_seconds: Between two looks.
        retry_seconds: Between two attempts to load a version that failed to.
        load: Makes a Servable of (directory, name, version).
    """

    def __init__(
        self,
        name: str,
        base_path: str,
        poll_seconds: float = 1.0,
        retry_seconds: float = 60.0,
        load: Callable[[str, str, int], Servable] = Servable,
    ) -> None:
        self.name = name
        self._base = local_directory(base_path)
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._load = load
        self._lock = threading.Lock()
        self._current: Servable | None = None
        self._requests: dict[Servable, int] = {}
        self._states: dict[int, VersionState] = {}
        self._failures: dict[int, tuple[int, float]] = {}
        self._stopped = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll-{name}", daemon=True)

    def start(self) -> None:
        """Loads the latest version and starts looking for newer ones.

        Raises:
            UserError: If there is none, or it does not load.
        """
        version = served_version(self._base)
        self.refresh()
        state = self._states[version]
        if state.state != ModelVersionStatus.AVAILABLE:
            raise UserError(
                f"version {version} in {self._base} does not load ({state.error}): delete it or push another"
            )
        self._poller.start()

    def refresh(self) -> None:
        """Looks once, and exchanges the served version if there is another latest one."""
        version = latest_version(self._base)
        for gone in self._failures.keys() - {version}:
            del self._failures[gone]
        if version is None or (self._current is not None and self._current.version == version):
            return
        failures, last = self._failures.get(version, (0, 0.0))
        if failures >= ATTEMPTS or (failures and time.monotonic() < last + self._retry_seconds):
            return
        self._set_state(version, ModelVersionStatus.LOADING)
        try:
            servable = self._load(os.path.join(self._base, str(version)), self.name, version)
        except Exception as error:
            self._failures[version] = (failures + 1, time.monotonic())
            reason = " ".join(str(error).split()) or type(error).__name__
            self._set_state(version, ModelVersionStatus.END, reason)
            _log.error("%s version %d does not load: %s", self.name, version, reason)
            return
        self._exchange(servable)

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Servable | None]:
        """The loaded version, which stays loaded while the block runs; None when it is not the one asked
        for."""
        with self._lock:
            servable = self._current
            if servable is None or version not in (None, servable.version):
                servable = None
            else:
                self._requests[servable] += 1
        try:
            yield servable
        finally:
            if servable is not None:
                self._release(servable)

    def states(self) -> list[VersionState]:
        """Of every version seen so far, newest first."""
        with self._lock:
            return sorted(self._states.values(), key=lambda state: -state.version)

    def stop(self) -> None:
        """Stops looking and unloads; a request that still runs finishes first."""
        self._stopped.set()
        if self._poller.is_alive():
            self._poller.join()
        self._exchange(None)

    def _poll(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            try:
                self.refresh()
            except Exception:  # the directory may be out of reach for a while; what is loaded is served on
                _log.exception("cannot look for versions of %s in %s", self.name, self._base)

    def _exchange(self, servable: Servable | None) -> None:
        with self._lock:
            old, self._current = self._current, servable
            if servable is not None:
                self._requests[servable] = 0
                self._states[servable.version] = VersionState(servable.version, ModelVersionStatus.AVAILABLE)
            if old is not None:
                self._states[old.version] = VersionState(old.version, ModelVersionStatus.UNLOADING)
                self._requests[old] += 1  # ours: so that exactly one release finds it unused
        if servable is not None:
            _log.info("%s version %d is available", self.name, servable.version)
        if old is not None:
            self._release(old)

    def _release(self, servable: Servable) -> None:
        with self._lock:
            self._requests[servable] -= 1
            if self._requests[servable] or servable is self._current:
                return
            del self._requests[servable]
        servable.close()
        with self._lock:
            state = self._states[servable.version]
            if state.state == ModelVersionStatus.UNLOADING:  # it may have been loaded anew meanwhile
                self._states[servable.version] = replace(state, state=ModelVersionStatus.END)
        _log.info("%s version %d is unloaded", self.name, servable.version)

    def _set_state(self, version: int, state: int, error: str = "") -> None:
        with self._lock:
            self._states[version] = VersionState(version, state, error)
