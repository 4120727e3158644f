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
        path: Its path, still percent-encoded, without the query.
        headers: Its headers; looked up in any case.
        message: Its body.
        deadline: When the server gives up on it, by `time.monotonic()`.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    message: Message
    deadline: float

    def take_body(self) -> bytes | bytearray:
        """Hands the body over, and keeps none of it."""
        return self.message.take()


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """What a request is answered with.

    Attributes:
        body: The bytes.
        status: HTTP's status code.
        content_type: What the bytes are.
        headers: Further headers.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
