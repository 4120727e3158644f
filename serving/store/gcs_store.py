"""The versions of a model in a bucket.

A bucket cannot rename a directory, so a version is written in this order: the claim of its number (see
`serving.store.gcs_claim`), all files but the graph, the manifest, and last saved_model.pb, by one conditional copy. A
directory without saved_model.pb is no version.
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
from trainer.base.addresses import check_inside

_SHA256 = "sha256"
"""Key of the custom metadata of every object of a version."""


class GcsStore:
    """A `serving.store.version_store.Store` in a bucket.

    Args:
        base: Directory of the versions, gs://BUCKET/DIRECTORY.
        lease_seconds: Seconds without a sign of life after which a publisher counts as dead; the same for all
            publishers of a model.
    """

    def __init__(self, base: str, lease_seconds: float = LEASE_SECONDS) -> None:
        self._objects = GcsObjects(base)
        self._lease_seconds = lease_seconds
        self._directories: dict[int, str] | None = None
        """Directory of each version when the bucket was last listed; None before that."""
        self.base = self._objects.base

    def exists(self) -> bool:
        """Returns True, since a bucket has no directories that could be missing.

        Raises:
            UserError: There is no bucket.
        """
        self._objects.list(PREFIX)
        return True

    def check_writable(self) -> None:
        """See `serving.store.version_store.Store`."""
        blob = self._objects.put(f".writable-{uuid.uuid4().hex}", b"")
        if blob is not None:
            self._objects.remove(blob)

    def versions(self) -> list[int]:
        """Returns the versions that hold a SavedModel, ascending."""
        self._directories = _versions(self._objects.list(), self.base)
        return sorted(self._directories)

    def path(self, version: int) -> str:
        """Returns the address of a version."""
        return f"{self.base}/{self._directory(version)}"

    def read(self, version: int, name: str) -> bytes | None:
        """Returns the content of a small file of a version; None when there is none."""
        return self._objects.read(f"{self._directory(version)}/{name}")

    def copy(self, version: int, target: str) -> None:
        """Downloads a version and verifies it by its manifest, which is then left out."""
        directory = self._directory(version)
        blobs = {name.partition("/")[2]: blob for name, blob in self._objects.list(f"{directory}/").items()}
        check_inside(blobs, self.path(version))
        for name, blob in blobs.items():
            self._objects.download(blob, os.path.join(target, name))
        if self._objects.find(f"{directory}/{GRAPH}") is None:
            raise FileNotFoundError(self.path(version))
        check_manifest(target, self.path(version))
        os.unlink(os.path.join(target, MANIFEST))

    def verify(self, version: int) -> None:
        """See `serving.store.version_store.Store`.

        Objects that this class wrote have their sha256 as metadata, and the service keeps their content. Others are
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
        """See `serving.store.model_store.rollback`. Only the graph goes through this machine."""
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
        """See `serving.store.model_store.delete`. The graph, which makes it a version, is removed first."""
        names = self._objects.list()
        if version == max(_numbers(names)):
            retire(self._objects, version)
        self._clear(self._directory(version), with_graph=True)

    def labels(self) -> dict[str, int]:
        """Returns the version by its label."""
        return decode_labels(self._objects.read(LABELS), f"{self.base}/{LABELS}")

    def change_labels(self, change: Callable[[dict[str, int]], dict[str, int]]) -> dict[str, int]:
        """See `serving.store.version_store.Store`. It starts again when the labels were changed meanwhile."""
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
        """Publishes files.

        Args:
            graph: Content of saved_model.pb, or its path.
            sums: Checksums of each file by its name.
            extra: Names of files that do not make the content another.
            write: Puts a file into the bucket, given the file's name and the object's name.
        """
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
            # This process was taken for dead, since its machine slept or was cut off: once more.
            self._clear(str(claim.version))

    def _write(
        self, claim: Claim, sums: Mapping[str, Checksums], write: Callable[[str, str], None]
    ) -> str | None:
        """Writes all files but the graph.

        Returns:
            Name of a file that is not in the bucket as it was meant to be; None when all are.
        """
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
        """Claims a number above all used ones; returns the claim, and the objects that there were right after it."""
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
        """Removes what dead publishers left, but for tombstones; returns the newest version."""
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
        """Removes what a killed deletion left, or a publisher that went on after it was taken for dead."""
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
        """Removes the tombstones below an existing version, which are of no use any more."""
        for version, blob in _claims(self._objects.list(PREFIX)).items():
            if version < newest and not blob.size:
                self._objects.remove(blob)

    def _clear(self, directory: str, with_graph: bool = False) -> None:
        """Removes the files of a number that can no longer be committed, unless it has become a version."""
        graph = self._objects.find(f"{directory}/{GRAPH}")
        if graph is not None and with_graph:
            self._objects.remove(graph)
        if graph is None or with_graph:
            for blob in self._objects.list(f"{directory}/").values():
                self._objects.remove(blob)

    def _directory(self, version: int) -> str:
        """Returns the name of a version's directory, or the name that the directory of a missing version would have."""
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
        """Returns the objects of a version by their name in it, without the manifest."""
        objects = self._objects.list(f"{self._directory(version)}/")
        return {
            name.partition("/")[2]: blob
            for name, blob in objects.items()
            if not name.endswith(f"/{MANIFEST}")
        }


def _claims(objects: Mapping[str, Blob]) -> dict[int, Blob]:
    """Returns the claims and tombstones by their number."""
    tails = {name.removeprefix(PREFIX): blob for name, blob in objects.items() if name.startswith(PREFIX)}
    return {number: tails[str(number)] for number in version_numbers(tails) if str(number) in tails}


def _numbers(names: Collection[str]) -> list[int]:
    """Returns the numbers of versions that are there, of parts of versions, and of claims."""
    return version_numbers({name.removeprefix(PREFIX).partition("/")[0] for name in names})


def _versions(names: Collection[str], base: str) -> dict[int, str]:
    """Returns the directories that hold a SavedModel, their names by version."""
    directories = {name.partition("/")[0] for name in names}
    return version_directories((name for name in directories if f"{name}/{GRAPH}" in names), base)
