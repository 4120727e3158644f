"""A model's versions in a bucket.

There is no rename of a directory there, so a version is written in this order: claim of the number (see
`serving.store.gcs_claim`), data, index and all other files, manifest, and saved_model.pb last, by one conditional
copy. A directory without saved_model.pb is no version.
"""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Collection, Mapping

from serving.store.checksums import Checksums, checksums, digests
from serving.store.gcs_claim import LEASE_SECONDS, PREFIX, Claim, retire
from serving.store.gcs_objects import Blob, GcsObjects
from serving.store.manifest import (
    MANIFEST,
    check_digests,
    check_manifest,
    decode_manifest,
    encode_manifest,
    file_digest,
    files_below,
    same_content,
)
from serving.store.version_labels import decode_labels, encode_labels
from serving.store.version_store import GRAPH, LABELS, Publication, version_directories, version_numbers

_SHA256 = "sha256"
"""Custom metadata of every object of a version."""


class GcsStore:
    """See `serving.store.version_store.Store`.

    Args:
        base: gs://BUCKET/DIRECTORY.
        lease_seconds: Until a silent publisher counts as dead; the same for all publishers of a model.
    """

    def __init__(self, base: str, lease_seconds: float = LEASE_SECONDS) -> None:
        self._objects = GcsObjects(base)
        self._lease_seconds = lease_seconds
        self._directories: dict[int, str] | None = None
        """As of the last look."""
        self.base = self._objects.base

    def exists(self) -> bool:
        """True: a bucket has no directories. UserError when there is no bucket."""
        self._objects.list(PREFIX)
        return True

    def check_writable(self) -> None:
        """UserError when nothing can be written there; leaves nothing behind."""
        blob = self._objects.put(f".writable-{uuid.uuid4().hex}", b"")
        if blob is not None:
            self._objects.remove(blob)

    def versions(self) -> list[int]:
        """Those that hold a SavedModel, ascending."""
        self._directories = _versions(self._objects.list(), self.base)
        return sorted(self._directories)

    def path(self, version: int) -> str:
        """Address of a version."""
        return f"{self.base}/{self._directory(version)}"

    def read(self, version: int, name: str) -> bytes | None:
        """A small file of a version; None when there is none."""
        return self._objects.read(f"{self._directory(version)}/{name}")

    def copy(self, version: int, target: str) -> None:
        """Downloads a version and holds it against its manifest, which is left out in the end."""
        directory = self._directory(version)
        for name, blob in self._objects.list(f"{directory}/").items():
            self._objects.download(blob, os.path.join(target, name.partition("/")[2]))
        if self._objects.find(f"{directory}/{GRAPH}") is None:
            raise FileNotFoundError(self.path(version))
        check_manifest(target, self.path(version))
        os.unlink(os.path.join(target, MANIFEST))

    def verify(self, version: int) -> None:
        """See `serving.store.version_store.Store`.

        An object that this class wrote has its sha256 as metadata, and the service keeps its content; another one is
        downloaded.
        """
        there = {}
        for name, blob in self._files(version).items():
            there[name] = (blob.metadata or {}).get(_SHA256) or self._digest(blob)
        check_digests(self._manifest(version), there, self.path(version))

    def add(self, source: str, extra_files: Mapping[str, bytes]) -> Publication:
        """See `serving.store.model_store.publish`."""
        contents = {name: os.path.join(source, name) for name in files_below(source)} | dict(extra_files)
        sums = {name: checksums(content) for name, content in contents.items()}

        def write(name: str, target: str) -> None:
            self._objects.put(target, contents[name], metadata={_SHA256: sums[name].sha256})

        return self._add(contents[GRAPH], sums, extra_files.keys(), write)

    def add_again(self, version: int) -> Publication:
        """See `serving.store.model_store.rollback`; nothing but the graph goes through this machine."""
        blobs = self._files(version)
        sums = {
            name: Checksums((blob.metadata or {}).get(_SHA256, ""), blob.crc32c)
            for name, blob in blobs.items()
        }
        if not all(each.sha256 for each in sums.values()):  # put there by other means
            with tempfile.TemporaryDirectory(prefix="yt8m-model-") as directory:
                self.copy(version, directory)
                return self.add(directory, {})
        check_digests(self._manifest(version), digests(sums), self.path(version))

        def write(name: str, target: str) -> None:
            self._objects.copy(blobs[name], target, {_SHA256: sums[name].sha256})

        return self._add(self.read(version, GRAPH), sums, (), write)

    def remove(self, version: int) -> None:
        """See `serving.store.model_store.delete`: first what makes it a version, then the rest."""
        names = self._objects.list()
        if version == max(_numbers(names)):
            retire(self._objects, version)
        self._clear(self._directory(version), with_graph=True)

    def labels(self) -> dict[str, int]:
        """Version by label."""
        return decode_labels(self._objects.read(LABELS), f"{self.base}/{LABELS}")

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """Replaces the labels by what `change` makes of them; starts again when somebody was faster."""
        while True:
            blob = self._objects.find(LABELS)
            labels = change(self.labels())
            replaces = 0 if blob is None else blob.generation
            if self._objects.put(LABELS, encode_labels(labels), replaces) is not None:
                return labels

    def _add(
        self,
        graph: bytes | str,
        sums: Mapping[str, Checksums],
        extra: Collection[str],
        write: Callable[[str, str], None],
    ) -> Publication:
        """Publishes files, each of which `write` (its name, the object's name) puts into the bucket."""
        self.versions()  # UserError where a version is there twice, before a number is claimed
        while True:
            claim, objects = self._claim(graph)
            try:
                with claim.kept():
                    latest = self._tidy(claim, objects)
                    if latest is not None and same_content(self._manifest(latest), digests(sums), extra):
                        claim.release()
                        return Publication(version=latest, path=self.path(latest), created=False)
                    wrong = self._write(claim, sums, write)
                    if wrong is not None and claim.held():
                        raise RuntimeError(
                            f"{self.path(claim.version)}/{wrong} is not what was sent: did the model change meanwhile?"
                        )
                    committed = wrong is None and claim.commit({_SHA256: sums[GRAPH].sha256})
            except BaseException:
                with contextlib.suppress(Exception):  # a later publish does it
                    retire(self._objects, claim.version)
                    self._clear(str(claim.version))
                raise
            if committed:
                claim.release()
                self._forget(claim.version)
                return Publication(version=claim.version, path=self.path(claim.version), created=True)
            self._clear(str(claim.version))  # taken for dead: this machine slept, or was cut off; once more

    def _write(
        self, claim: Claim, sums: Mapping[str, Checksums], write: Callable[[str, str], None]
    ) -> str | None:
        """All but the graph; the name of a file that is not in the bucket as it was meant to be, or None."""
        for name in sorted(sums.keys() - {GRAPH}):
            write(name, f"{claim.version}/{name}")
        manifest = encode_manifest(digests(sums))
        expected = {**sums, MANIFEST: checksums(manifest)}
        self._objects.put(
            f"{claim.version}/{MANIFEST}", manifest, metadata={_SHA256: expected[MANIFEST].sha256}
        )
        expected = {name: each.crc32c for name, each in expected.items()}
        blobs = self._objects.list(f"{claim.version}/")
        there = {GRAPH: claim.crc32c, **{name.partition("/")[2]: blob.crc32c for name, blob in blobs.items()}}
        wrong = (
            name for name in sorted(expected.keys() | there.keys()) if there.get(name) != expected.get(name)
        )
        return next(wrong, None)

    def _claim(self, graph: bytes | str) -> tuple[Claim, dict[str, Blob]]:
        """A number above all that have been used, and the objects there were when it had been taken."""
        while True:
            version = max(_numbers(self._objects.list()), default=0) + 1
            claim = Claim.take(self._objects, version, graph, self._lease_seconds)
            if claim is None:
                continue
            objects = self._objects.list()
            used = [
                *_versions(objects, self.base),
                *(number for number, blob in _claims(objects).items() if not blob.size),
            ]
            written = any(name.startswith(f"{version}/") for name in objects)
            if not written and max(used, default=0) < version:
                return claim, objects
            claim.release()  # somebody had it, and was done with it, since the numbers were looked at

    def _tidy(self, own: Claim, objects: Mapping[str, Blob]) -> int | None:
        """Removes what dead publishers left, all but tombstones; returns the newest version."""
        versions, claims = _versions(objects, self.base), _claims(objects)
        for version, blob in claims.items():
            silent = (own.taken - blob.updated).total_seconds()
            if version != own.version and (not blob.size or silent > self._lease_seconds):
                retire(self._objects, version)
                self._clear(str(version))
        for version in set(_numbers(objects)) - claims.keys() - set(versions):
            self._tidy_unclaimed(version, own)
        return max(versions, default=None)

    def _tidy_unclaimed(self, version: int, own: Claim) -> None:
        """What a deletion that was killed left, or a publisher that woke up after it was taken for dead."""
        left = [
            blob
            for blob in self._objects.list(f"{version}/").values()
            # Not what somebody brings here by other means.
            if _SHA256 in (blob.metadata or {})
            and (own.taken - blob.updated).total_seconds() > self._lease_seconds
        ]
        # A claim is removed only after saved_model.pb is there, so asked in this order there is no mistake.
        if not any(self._objects.find(name) for name in (f"{PREFIX}{version}", f"{version}/{GRAPH}")):
            for blob in left:
                self._objects.remove(blob)

    def _forget(self, newest: int) -> None:
        """Tombstones below an existing version say nothing any more."""
        for version, blob in _claims(self._objects.list(PREFIX)).items():
            if version < newest and not blob.size:
                self._objects.remove(blob)

    def _clear(self, directory: str, with_graph: bool = False) -> None:
        """Removes the files of a number that can no longer be committed, unless it has been."""
        graph = self._objects.find(f"{directory}/{GRAPH}")
        if graph is not None and with_graph:
            self._objects.remove(graph)
        if graph is None or with_graph:
            for blob in self._objects.list(f"{directory}/").values():
                self._objects.remove(blob)

    def _directory(self, version: int) -> str:
        """Name of a version's directory; of a version that is not there, the one that it is to have."""
        if self._directories is None:
            self.versions()
        return self._directories.get(version, str(version))

    def _digest(self, blob: Blob) -> str:
        with tempfile.TemporaryDirectory(prefix="yt8m-model-") as scratch:
            path = os.path.join(scratch, "object")
            self._objects.download(blob, path)
            return file_digest(path)

    def _manifest(self, version: int) -> dict[str, str] | None:
        content = self.read(version, MANIFEST)
        return None if content is None else decode_manifest(content)

    def _files(self, version: int) -> dict[str, Blob]:
        """By name within the version, the manifest left out."""
        objects = self._objects.list(f"{self._directory(version)}/")
        return {
            name.partition("/")[2]: blob
            for name, blob in objects.items()
            if not name.endswith(f"/{MANIFEST}")
        }


def _claims(objects: Mapping[str, Blob]) -> dict[int, Blob]:
    """Claims and tombstones by their number."""
    tails = {name.removeprefix(PREFIX): blob for name, blob in objects.items() if name.startswith(PREFIX)}
    return {number: tails[str(number)] for number in version_numbers(tails) if str(number) in tails}


def _numbers(names: Collection[str]) -> list[int]:
    """Those that are versions, were, or are to be."""
    return version_numbers({name.removeprefix(PREFIX).partition("/")[0] for name in names})


def _versions(names: Collection[str], base: str) -> dict[int, str]:
    """Name by version, of the directories that hold a SavedModel."""
    directories = {name.partition("/")[0] for name in names}
    return version_directories((name for name in directories if f"{name}/{GRAPH}" in names), base)
