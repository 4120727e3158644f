"""Claims of version numbers in a bucket: how a publisher gets a number, keeps it, and loses it.

A claim is the object `.claim-<n>`. It is created only if there is none, so that a number has one owner. Its content is
the saved_model.pb of the future version. The last step of a publish copies it to `<n>/saved_model.pb`, on the condition
that the claim is still of the generation that its owner wrote.

An owner changes its claim every tenth of `lease_seconds`. Another publisher takes the owner for dead when the claim was
last changed more than `lease_seconds` before that publisher's own claim was created. Both times are those of the
server, so no machine's clock matters. The other publisher then overwrites the claim with an empty one, a tombstone.
From then on the server refuses the owner's copy, however late it comes. A tombstone keeps its number from being used
again until there is a larger version.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator

from serving.store.gcs_objects import GcsObjects
from serving.store.version_store import GRAPH

PREFIX = ".claim-"

LEASE_SECONDS = 300.0
"""Seconds without a sign of life after which a publisher counts as dead. It gives ten signs in that time."""

_OWNER, _BEAT = "owner", "beat"


class Claim:
    """A version number that this process holds. `take` makes it.

    Attributes:
        version: The number that is claimed.
        taken: Time at which the claim was created, by the server's clock.
        crc32c: CRC-32C of the graph that the server has received, in base64.
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
        """Claims a number.

        Args:
            objects: The objects of the model's directory.
            version: The number, at least 1.
            graph: Content of saved_model.pb, or its path.
            lease_seconds: Seconds without a sign of life after which a publisher counts as dead.

        Returns:
            The claim; None when another publisher has the number.
        """
        owner = uuid.uuid4().hex
        objects.put(f"{PREFIX}{version}", graph, metadata={_OWNER: owner})
        # The put may have succeeded and then been tried again and refused, so the object itself tells.
        claim = cls(objects, version, lease_seconds, owner)
        return claim if claim._blob is not None and claim._blob.metadata == {_OWNER: owner} else None

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Gives signs of life while the block runs."""
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
        """Makes the number a version that readers see.

        Args:
            metadata: Custom metadata of the version's saved_model.pb.

        Returns:
            False when the claim was lost, and there is no version.
        """
        name = f"{self.version}/{GRAPH}"
        # A copy whose answer was lost is tried again, and then refused by its own success.
        return self._objects.copy(self._blob, name, metadata) or self._objects.find(name) is not None

    def held(self) -> bool:
        """Whether the claim is still there, and nobody has taken its owner for dead."""
        blob = self._objects.find(f"{PREFIX}{self.version}")
        return blob is not None and blob.generation == self._blob.generation

    def release(self) -> None:
        """Removes the claim. The number must be a version now, or nothing must have been written under it."""
        self._objects.remove(self._blob)


def retire(objects: GcsObjects, version: int) -> None:
    """Puts a tombstone in the place of a claim, so that nobody can commit this number any more."""
    name = f"{PREFIX}{version}"
    while True:
        blob = objects.find(name)
        if blob is not None and blob.size == 0:
            return
        objects.put(name, b"", replaces=0 if blob is None else blob.generation)
