"""Requests of HTTP and their answers, as the protocols on the HTTP port see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.server.workers import Message

JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request that has come whole.

    Attributes:
        method: GET or POST.
        path: Path of the request, still percent-encoded, without the query.
        headers: Headers of the request; looked up in any case.
        message: Body of the request.
        deadline: When the server gives up on it, by `time.monotonic()`.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    message: Message
    deadline: float

    def take_body(self) -> bytes:
        """Hands the body over, and keeps none of it."""
        return self.message.take()


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """What a request is answered with.

    Attributes:
        body: Bytes of the body.
        status: HTTP's status code.
        content_type: What the bytes are.
        headers: Further headers.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
