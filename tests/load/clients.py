"""Clients of one server, each with a connection of its own, which all send the same request."""

import base64
import http
import http.client
import json
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc

from serving.base import predict_messages as wire

TIMEOUT = 60.0


class Clients:
    """So many of them; a request's number says whose it is.

    The request is serialised once and answers are not parsed: the clients share the machine with the server.

    Args:
        target: HOST:PORT.
        model_name: As the server calls the model.
        examples: Serialised SequenceExamples of one request.
        count: Clients.
    """

    def __init__(self, target: str, model_name: str, examples: list[bytes], count: int) -> None:
        self._request = wire.string_request(wire.ModelChoice(name=model_name), "examples", examples)
        options = [
            # Else all channels to one address share a connection.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", -1),
        ]
        self._channels = [grpc.insecure_channel(target, options) for _ in range(count)]
        self._methods = [channel.unary_unary(wire.PREDICT) for channel in self._channels]

    def ask(self, number: int) -> bytes:
        """The serialised answer; grpc.RpcError instead of one."""
        return self._methods[number % len(self._methods)](self._request, timeout=TIMEOUT)

    def send(self, number: int) -> "Future[Any]":
        """The same later."""
        return self._methods[number % len(self._methods)].future(self._request, timeout=TIMEOUT)

    def __enter__(self) -> "Clients":
        for number in range(len(self._methods)):
            self.ask(number)  # connected, before anything is timed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels:
            channel.close()


class RestError(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self._status = status

    def code(self) -> http.HTTPStatus:
        """The status, as an RpcError has it."""
        return http.HTTPStatus(self._status)


class RestClients:
    """As Clients, by TensorFlow Serving's REST API with base64. Each client has a thread for its requests.

    Args:
        target: HOST:PORT of HTTP.
        model_name: As the server calls the model.
        examples: Serialised SequenceExamples of one request.
        count: Clients.
    """

    def __init__(self, target: str, model_name: str, examples: list[bytes], count: int) -> None:
        rows = [{"b64": base64.b64encode(example).decode()} for example in examples]
        self._request = json.dumps({"instances": rows}).encode()
        self._path = f"/v1/models/{model_name}:predict"
        self._connections = [http.client.HTTPConnection(target, timeout=TIMEOUT) for _ in range(count)]
        self._threads = [ThreadPoolExecutor(1) for _ in range(count)]

    def ask(self, number: int) -> bytes:
        """The answer; RestError instead of one."""
        connection = self._connections[number % len(self._connections)]
        connection.request("POST", self._path, self._request)
        response = connection.getresponse()
        answer = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RestError(response.status)
        return answer

    def send(self, number: int) -> "Future[Any]":
        """The same later."""
        return self._threads[number % len(self._threads)].submit(self.ask, number)

    def __enter__(self) -> "RestClients":
        for number in range(len(self._connections)):
            self.ask(number)  # connected, before anything is timed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread, connection in zip(self._threads, self._connections, strict=True):
            thread.shutdown()
            connection.close()


def version_of(answer: bytes) -> int:
    """The model's version that gave an answer."""
    return wire.PredictResponse.FromString(answer).model_spec.version.value
