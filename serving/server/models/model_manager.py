"""Loads and unloads the versions of a model while it is served."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.server.models.batched_servable import BatchedServable
from serving.server.models.model_config import ModelConfig, check_model
from serving.server.models.servable import Servable
from serving.store.model_store import local_version, open_store
from trainer.base.errors import UserError
from trainer.base.full_disk import full_disk

_log = logging.getLogger("yt8m.serving")

ATTEMPTS = 6
"""Loads of one version, as in TensorFlow Serving: one and five retries, then never again."""


Runner = Servable | BatchedServable


@dataclass(frozen=True)
class VersionState:
    """What GetModelStatus tells of a version.

    Attributes:
        version: The version's number.
        state: A value of the enum ModelVersionStatus.State.
        error: The reason why the version did not load; empty if it did.
    """

    version: int
    state: int
    error: str = ""

    @property
    def name(self) -> str:
        """The state in a word, `failed` for a version that did not load."""
        return "failed" if self.error else ModelVersionStatus.State.Name(self.state).lower()


class ModelManager:
    """Keeps loaded the versions of a model that its policy chooses and those that have a label.

    It looks for changes all the time. A new version is loaded whole before an old one goes, and the old one is unloaded
    when its last request has finished. As long as none of the versions that the policy chooses is loaded, the old ones
    stay. The labels of the configuration never move. Those of the store (`yt8m models label`) move when the version
    that they are to point to is loaded. A version in a bucket is downloaded, checked and loaded; no copy is kept.

    Args:
        config: The model's name, its directory, and which of its versions are served.
        poll_seconds: Seconds between two looks for changes.
        retry_seconds: Seconds between two attempts to load a version that failed to load.
        load: Makes a servable of a directory, the model's name and the version's number.
        on_load: Is called after each attempt to load a version, with its number and whether it failed.
    """

    def __init__(
        self,
        config: ModelConfig,
        poll_seconds: float = 1.0,
        retry_seconds: float = 60.0,
        load: Callable[[str, str, int], Runner] = Servable,
        on_load: Callable[[int, bool], None] = lambda version, has_failed: None,
    ) -> None:
        self.name = config.name
        self._config = config
        self._base = config.base_path
        self._store = open_store(config.base_path)
        self._policy = config.policy
        self._fixed_labels = dict(config.labels)
        self._labels = dict(config.labels)
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._load = load
        self._on_load = on_load
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()
        self._loaded: dict[int, Runner] = {}
        self._requests: dict[Runner, int] = {}
        self._states: dict[int, VersionState] = {}
        self._failures: dict[int, tuple[int, float]] = {}
        self._stopped = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll-{self.name}", daemon=True)

    def start(self) -> None:
        """Loads what the policy chooses and starts looking for changes.

        Raises:
            UserError: If there is nothing, none of it loads, or a label points to what is not served.
        """
        chosen = check_model(self._config)
        self.refresh()
        if not self._loaded:
            version = (self._policy.choose(self._store.versions()) or chosen[-1:])[0]
            error = self._states[version].error if version in self._states else "it went away"
            raise UserError(
                f"version {version} in {self._base} does not load ({error}): delete it or push another"
            )
        self._check_labels(self._fixed_labels)
        self._poller.start()

    @property
    def config(self) -> ModelConfig:
        """The model's name, its directory, and which of its versions are served."""
        return self._config

    def reconfigure(self, config: ModelConfig) -> None:
        """Serves other versions of the same directory, or labels them otherwise. What stays is not loaded again.

        Raises:
            UserError: If what is chosen does not exist or does not load, or a label points to what is not served. All
                is as it was then.
        """
        check_model(config)
        before = self._config
        try:
            self._configure(config)
            with self._lock:
                chosen = {*config.policy.choose(sorted(self._loaded))}
            if not chosen:
                raise UserError(
                    f"no version of model {self.name} that is to be served loads: look at its states"
                )
            self._check_labels(config.labels)
        except BaseException:
            self._configure(before)
            raise

    def refresh(self) -> None:
        """Looks once: loads what is chosen and not loaded, moves labels, then unloads what nothing points to."""
        with self._refreshing:
            self._refresh()

    def _configure(self, config: ModelConfig) -> None:
        with self._refreshing:
            self._config, self._policy = config, config.policy
            self._fixed_labels = dict(config.labels)
            self._refresh()

    def _check_labels(self, labels: Mapping[str, int]) -> None:
        for label, version in labels.items():
            if version not in self._loaded:
                raise UserError(
                    f"the label {label} of model {self.name} points to version {version}, which is not served; "
                    f"served: {', '.join(map(str, sorted(self._loaded)))}"
                )

    def _refresh(self) -> None:
        versions = self._store.versions()
        wanted = {name: version for name, version in self._store.labels().items() if version in versions}
        chosen = [*self._policy.choose(versions)]
        chosen += sorted(set(wanted.values()) - set(chosen))
        for gone in self._failures.keys() - set(chosen):
            del self._failures[gone]
        for version in chosen:
            if version not in self._loaded and not self._must_wait(version):
                self._try_to_load(version)
        self._move_labels(wanted)
        if self._loaded.keys() & set(chosen):
            for version in self._loaded.keys() - {*chosen, *self._labels.values()}:
                self._unload(version)

    def label(self, name: str) -> int | None:
        """Returns the version that a label points to; None when there is no such label."""
        return self._labels.get(name)

    def loaded_versions(self) -> list[int]:
        """Returns the numbers of the versions that take requests, ascending."""
        with self._lock:
            return sorted(self._loaded)

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Runner | None]:
        """Gives a loaded version, which stays loaded while the block runs.

        Args:
            version: The version's number; None for the newest.

        Returns:
            A context manager of the version; of None when it is not loaded.
        """
        with self._lock:
            wanted = max(self._loaded, default=None) if version is None else version
            servable = None if wanted is None else self._loaded.get(wanted)
            if servable is not None:
                self._requests[servable] += 1
        try:
            yield servable
        finally:
            if servable is not None:
                self._release(servable)

    def states(self) -> list[VersionState]:
        """Returns the state of every version seen so far, newest first."""
        with self._lock:
            return sorted(self._states.values(), key=lambda state: -state.version)

    def stop(self) -> None:
        """Stops looking and unloads; a request that still runs finishes first."""
        self._stopped.set()
        if self._poller.is_alive():
            self._poller.join()
        for version in self.loaded_versions():
            self._unload(version)

    def _poll(self) -> None:
        said = ""
        while not self._stopped.wait(self._poll_seconds):
            try:
                self.refresh()
                said = ""
            except UserError as error:
                if str(error) != said:
                    said = str(error)
                    _log.error("what is loaded of %s is served on: %s", self.name, said)
            except Exception:  # the directory may be out of reach for a while; what is loaded is served on
                _log.exception("cannot look for versions of %s in %s", self.name, self._base)

    def _move_labels(self, wanted: dict[str, int]) -> None:
        labels = dict(self._fixed_labels)
        for name in wanted.keys() - labels.keys():
            # Where the new one does not load, the label stays at the old one.
            version = wanted[name] if wanted[name] in self._loaded else self._labels.get(name)
            if version in self._loaded:
                labels[name] = version
                if self._labels.get(name) != version:
                    _log.info("%s label %s points to version %d", self.name, name, version)
        self._labels = labels

    def _must_wait(self, version: int) -> bool:
        failures, last = self._failures.get(version, (0, 0.0))
        return failures >= ATTEMPTS or (failures > 0 and time.monotonic() < last + self._retry_seconds)

    def _try_to_load(self, version: int) -> None:
        self._set_state(version, ModelVersionStatus.LOADING)
        try:
            with local_version(self._store, version) as directory:
                servable = self._load(directory, self.name, version)
        except Exception as error:
            failures, _ = self._failures.get(version, (0, 0.0))
            self._failures[version] = (failures + 1, time.monotonic())
            reason = " ".join(str(error).split()) or type(error).__name__
            if full := full_disk(error):
                reason = f"{reason}; {full}"
            self._set_state(version, ModelVersionStatus.END, reason)
            _log.error("%s version %d does not load: %s", self.name, version, reason)
            self._on_load(version, True)
            return
        with self._lock:
            self._loaded[version] = servable
            self._requests[servable] = 0
            self._states[version] = VersionState(version, ModelVersionStatus.AVAILABLE)
        self._on_load(version, False)
        _log.info("%s version %d is available", self.name, version)

    def _unload(self, version: int) -> None:
        with self._lock:
            servable = self._loaded.pop(version)
            self._states[version] = VersionState(version, ModelVersionStatus.UNLOADING)
            self._requests[servable] += 1  # ours: so that exactly one release finds it unused
        self._release(servable)

    def _release(self, servable: Runner) -> None:
        with self._lock:
            self._requests[servable] -= 1
            if self._requests[servable] or self._loaded.get(servable.version) is servable:
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
