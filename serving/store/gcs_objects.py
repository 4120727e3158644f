"""The objects below one directory of a bucket, with the checksums and preconditions that publishing needs.

Every write names the generation that it replaces (0 for none), so that google-cloud-storage may safely try it again:
https://cloud.google.com/storage/docs/retry-strategy. Names are relative to the directory.
"""

import contextlib
import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

from trainer.base.addresses import parse_bucket_address
from trainer.base.errors import UserError
from trainer.base.full_disk import naming

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # of what Google means to do with old Pythons
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY
    from requests.exceptions import RequestException

# From 3.17 on the library looks up the bucket itself in the background, for traces that nobody writes here; the role
# storage.objectUser does not allow that.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

Blob = storage.Blob

_KIND = "application/octet-stream"
_FIELDS = "items(name,generation,updated,metadata,size,crc32c),nextPageToken"


def _explained(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a method: errors of the bucket or the account become a UserError of one line."""

    @functools.wraps(method)
    def call(self: "GcsObjects", *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except exceptions.Forbidden:
            problem = (
                "may not be read and written: give your account (or the pod's) the role storage.objectUser"
            )
        except exceptions.NotFound:
            problem = (
                f"cannot be reached, there is no bucket {self.bucket_name}: create it or correct the address"
            )
        except GoogleAuthError as error:
            problem = f"needs a Google account: gcloud auth application-default login ({_line(error)})"
        except (exceptions.RetryError, exceptions.ServerError, RequestException) as error:
            problem = f"cannot be reached; try again later ({_line(error)})"
        raise UserError(f"{self.base} {problem}")

    return call


class GcsObjects:
    """Reads and writes the objects below a directory of a bucket.

    It uses Application Default Credentials, and the server of STORAGE_EMULATOR_HOST where that is set. Every method
    raises UserError when the bucket is missing or out of reach.

    Args:
        base: The directory, gs://BUCKET/DIRECTORY.

    Raises:
        UserError: The address is invalid.
    """

    def __init__(self, base: str) -> None:
        self.bucket_name, below = parse_bucket_address(base, "model directory")
        self.base = base.rstrip("/")
        self._prefix = f"{below}/" if below else ""
        self._client: storage.Client | None = None

    @_explained
    def check(self) -> None:
        """Checks that the bucket is there and may be read.

        Raises:
            UserError: It is missing or may not be read.
        """
        next(iter(self._bucket.client.list_blobs(self._bucket, prefix=self._prefix, max_results=1)), None)

    @_explained
    def list(self, below: str = "") -> dict[str, Blob]:
        """Returns all objects whose name begins with `below`, by name, without those that stand for directories."""
        blobs = self._bucket.client.list_blobs(self._bucket, prefix=self._prefix + below, fields=_FIELDS)
        found = {blob.name[len(self._prefix) :]: blob for blob in blobs}
        return {name: blob for name, blob in found.items() if not name.endswith("/")}

    @_explained
    def find(self, name: str) -> Blob | None:
        """Returns an object as it is now; None when there is none."""
        return self._bucket.get_blob(self._prefix + name)

    @_explained
    def read(self, name: str) -> bytes | None:
        """Returns the content of a small object; None when there is none."""
        try:
            return self._bucket.blob(self._prefix + name).download_as_bytes(checksum="crc32c")
        except exceptions.NotFound:
            return None

    @_explained
    def download(self, blob: Blob, path: str) -> None:
        """Writes an object to a local file.

        Raises:
            FileNotFoundError: The object is gone.
        """
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with naming(path):
                blob.download_to_filename(path, checksum="crc32c")
        except exceptions.NotFound:
            raise FileNotFoundError(blob.name) from None

    @_explained
    def put(
        self, name: str, content: bytes | str, replaces: int = 0, metadata: dict[str, str] | None = None
    ) -> Blob | None:
        """Writes an object.

        Args:
            name: Name of the object.
            content: Content of the object, or the path of a local file with it.
            replaces: Generation of the object that must be there now; 0 when there must be none.
            metadata: Custom metadata of the object.

        Returns:
            The new object; None when another generation is there. That may be the one that this call wrote, when its
            answer was lost and the request was tried again.
        """
        blob = self._bucket.blob(self._prefix + name)
        blob.metadata = metadata
        how = {"content_type": _KIND, "checksum": "crc32c", "if_generation_match": replaces}
        try:
            if isinstance(content, bytes):
                blob.upload_from_string(content, **how)
            else:
                blob.upload_from_filename(content, **how)
        except exceptions.PreconditionFailed:
            return None
        return blob

    @_explained
    def touch(self, blob: Blob, metadata: dict[str, str]) -> bool:
        """Sets an object's metadata, and so the time of its last change. Returns False when it has been replaced."""
        fresh = self._bucket.blob(blob.name)
        fresh.metadata = metadata
        try:
            fresh.patch(if_generation_match=blob.generation, retry=DEFAULT_RETRY)
        except (exceptions.PreconditionFailed, exceptions.NotFound):
            return False
        return True

    @_explained
    def copy(self, source: Blob, name: str, metadata: dict[str, str]) -> bool:
        """Copies an object within the bucket, unless it has been replaced.

        Args:
            source: The object.
            name: Name of the copy; there must be no object of this name.
            metadata: Custom metadata of the copy.

        Returns:
            Whether it was copied. False also when the request was tried again and finds its own copy there.
        """
        target, token = self._bucket.blob(self._prefix + name), None
        target.metadata, target.content_type = metadata, _KIND
        unchanged = self._bucket.blob(
            source.name
        )  # not of a generation: one that is replaced must not be found
        try:
            while True:
                token, _, _ = target.rewrite(
                    unchanged,
                    token=token,
                    if_generation_match=0,
                    if_source_generation_match=source.generation,
                )
                if token is None:
                    return True
        except (exceptions.PreconditionFailed, exceptions.NotFound):
            return False

    @_explained
    def remove(self, blob: Blob) -> None:
        """Deletes an object, unless it has been replaced or is gone."""
        with contextlib.suppress(exceptions.PreconditionFailed, exceptions.NotFound):
            self._bucket.blob(blob.name).delete(if_generation_match=blob.generation)

    @property
    def _bucket(self) -> storage.Bucket:
        if self._client is None:
            self._client = storage.Client(project=None)  # none of ours is needed to use objects
        return self._client.bucket(self.bucket_name)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
