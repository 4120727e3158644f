"""Certificates from files, for servers and clients."""

from dataclasses import dataclass

import grpc

from trainer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """PEM files of a server.

    Attributes:
        certificate: Its own, with the chain.
        key: Of the certificate.
        client_ca: Of those who may sign clients' certificates; with it every client must have one.
    """

    certificate: str
    key: str
    client_ca: str | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC; UserError when a file cannot be read."""
        return grpc.ssl_server_credentials(
            [(_read(self.key), _read(self.certificate))],
            root_certificates=_read(self.client_ca) if self.client_ca else None,
            require_client_auth=self.client_ca is not None,
        )


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """PEM files of a client.

    Attributes:
        ca: Of those who may sign the server's certificate; None for those the system trusts.
        certificate: The client's own, where the server asks for one.
        key: Of the certificate.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC; UserError when a file cannot be read, or one of certificate and key is missing."""
        if (self.certificate is None) != (self.key is None):
            raise UserError("a client's certificate and its key belong together: give both or neither")
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca) if self.ca else None,
            private_key=_read(self.key) if self.key else None,
            certificate_chain=_read(self.certificate) if self.certificate else None,
        )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UserError(f"cannot read the PEM file {path}: {error.strerror or error}") from None
    if b"-----BEGIN " not in content:
        raise UserError(f"{path} is not a PEM file: it has no -----BEGIN line")
    return content
