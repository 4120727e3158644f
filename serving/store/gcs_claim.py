"""How one publisher holds a version number in a bucket, and how it loses it.

A claim is the object `.claim-<n>`. It is created only if there is none, so that a number has one owner. Its content
is the saved_model.pb of the version to be: the last step of a publish copies it to `<n>/saved_model.pb`, on condition
that the claim still is of the generation that its owner wrote. Whoever takes the owner for dead overwrites the claim
with an empty one first, a tombstone; from then on the copy is refused by the server, however late it comes and
whatever the owner believes. A tombstone keeps its number from being used again until there is a larger version.

Dead is an owner whose claim the server last saw changed more than `lease_seconds` before the server saw the judge's
own claim appear. Owners touch their claims every tenth of that. Both times are the server's: nobody's clock is asked.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator

from serving.store.gcs_objects import GcsObjects
from serving.store.version_store import GRAPH

PREFIX = ".claim-"

LEASE_SECONDS = 300.0
"""Ten touches may fail before a publisher counts as dead."""

_OWNER, _BEAT = "owner", "beat"


class Claim:
    """A number that this process holds; made by `take`.

    Attributes:
        version: The number.
        taken: The server's time when it was taken.
        crc32c: Of the graph, as the server has it.
    """

    def __init__(self, objects: GcsObjects, version: int, lease_seconds: float, owner: str) -> None:
        self._objects = objects
        self._lease_seconds = lease_seconds
        self._owner = owner
        self._blob = objects.find(f"{PREFIX}{version}")
        self.version = version
        self.taken = self._blob and self._blob.updated
        self.crc32c = self._blob and self._blob.crc32c

    @classmethod
    def take(
        cls, objects: GcsObjects, version: int, graph: bytes | str, lease_seconds: float = LEASE_SECONDS
    ) -> "Claim | None":
        """Claims a number; None when another publisher has it.

        Args:
            objects: Of the model's directory.
            version: The number.
            graph: Content, or path, of saved_model.pb.
            lease_seconds: See the module.
        """
        owner = uuid.uuid4().hex
        objects.put(f"{PREFIX}{version}", graph, metadata={_OWNER: owner})
        # Asked, since the put may have been tried again and refused by its own success.
        claim = cls(objects, version, lease_seconds, owner)
        return claim if claim._blob is not None and claim._blob.metadata == {_OWNER: owner} else None

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Shows that the owner is alive while the block runs."""
        done = threading.Event()

        def beat() -> None:
            count = 0
            while not done.wait(self._lease_seconds / 10):
                count += 1
                with contextlib.suppress(
                    Exception
                ):  # the next beat may get through; if none does, commit says so
                    if not self._objects.touch(self._blob, {_OWNER: self._owner, _BEAT: str(count)}):
                        return

        thread = threading.Thread(target=beat, name="claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def commit(self, metadata: dict[str, str]) -> bool:
        """Makes the number a version that readers see; False when the claim was lost, and there is none."""
        name = f"{self.version}/{GRAPH}"
        # The copy is also refused when it was done, and tried again because its answer was lost.
        return self._objects.copy(self._blob, name, metadata) or self._objects.find(name) is not None

    def held(self) -> bool:
        """Whether nobody has taken the owner for dead."""
        blob = self._objects.find(f"{PREFIX}{self.version}")
        return blob is not None and blob.generation == self._blob.generation

    def release(self) -> None:
        """Removes the claim; the number is a version now, or nothing was written under it."""
        self._objects.remove(self._blob)


def retire(objects: GcsObjects, version: int) -> None:
    """Puts a tombstone where a claim is or might be: nobody can commit this number any more."""
    name = f"{PREFIX}{version}"
    while True:
        blob = objects.find(name)
        if blob is not None and blob.size == 0:
            return
        objects.put(name, b"", replaces=0 if blob is None else blob.generation)
