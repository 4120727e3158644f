"""Objects below one directory of a bucket, with the checksums and preconditions that publishing needs.

Every write is conditional on the generation it replaces (0: nothing), so that google-cloud-storage may try it again:
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
    """What is wrong with the bucket or the account becomes the user's error of one line."""

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
    """See the module.

    Authenticates with Application Default Credentials; honours STORAGE_EMULATOR_HOST.

    Args:
        base: gs://BUCKET/DIRECTORY.

    Raises:
        UserError: From every method, when the bucket is missing or out of reach.
    """

    def __init__(self, base: str) -> None:
        self.bucket_name, below = parse_bucket_address(base, "model directory")
        self.base = base.rstrip("/")
        self._prefix = f"{below}/" if below else ""
        self._client: storage.Client | None = None

    @_explained
    def check(self) -> None:
        """Raises UserError when the bucket is missing or may not be read."""
        next(iter(self._bucket.client.list_blobs(self._bucket, prefix=self._prefix, max_results=1)), None)

    @_explained
    def list(self, below: str = "") -> dict[str, Blob]:
        """All objects whose name begins with `below`, by name; without those that stand for directories."""
        blobs = self._bucket.client.list_blobs(self._bucket, prefix=self._prefix + below, fields=_FIELDS)
        found = {blob.name[len(self._prefix) :]: blob for blob in blobs}
        return {name: blob for name, blob in found.items() if not name.endswith("/")}

    @_explained
    def find(self, name: str) -> Blob | None:
        """One object as it is now; None when there is none."""
        return self._bucket.get_blob(self._prefix + name)

    @_explained
    def read(self, name: str) -> bytes | None:
        """The content of a small object; None when there is none."""
        try:
            return self._bucket.blob(self._prefix + name).download_as_bytes(checksum="crc32c")
        except exceptions.NotFound:
            return None

    @_explained
    def download(self, blob: Blob, path: str) -> None:
        """Writes an object to a file; FileNotFoundError when it is gone."""
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
            name: Of the object.
            content: Itself, or the path of a local file.
            replaces: Generation that must be there; 0 for none.
            metadata: Custom.

        Returns:
            The new object; None when another generation is there, which may be one's own: of a request that
            was tried again because its answer was lost.
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
        """Sets an object's metadata, and so the time of its last change; False when it has been replaced."""
        fresh = self._bucket.blob(blob.name)
        fresh.metadata = metadata
        try:
            fresh.patch(if_generation_match=blob.generation, retry=DEFAULT_RETRY)
        except (exceptions.PreconditionFailed, exceptions.NotFound):
            return False
        return True

    @_explained
    def copy(self, source: Blob, name: str, metadata: dict[str, str]) -> bool:
        """Copies an object within the bucket, under a name that must be free, if it has not been replaced.

        Returns:
            Whether it did; False also when a request that was tried again finds its own copy there.
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
