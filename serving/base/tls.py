"""Certificates from files, for servers and clients."""

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.serve")


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """PEM files of a server; when they are replaced, connections from then on get the new ones.

    Attributes:
        certificate: Its own, with the chain.
        key: Of the certificate.
        client_ca: Of those who may sign clients' certificates; with it every client must have one.
    """

    certificate: str
    key: str
    client_ca: str | None = None

    def check(self) -> None:
        """Reads the files; UserError when one cannot be used."""
        self._configuration()

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC; UserError when a file cannot be used."""
        renewal = self._renewal()  # notes the files' times first, so that no replacement is missed
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), renewal, require_client_authentication=self.client_ca is not None
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = _read(self.key), _read(self.certificate)
        _check_pair(self.certificate, self.key)
        authority = _read_authority(self.client_ca) if self.client_ca else None
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)

    def _renewal(self) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
        """Is called for each new connection: the certificates to use from now on, None to keep those in use."""
        seen = self._times()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            times = self._times()
            if times == seen:
                return None
            try:
                configuration = self._configuration()
            except UserError as error:
                # A renewal under way, or one that failed: the old certificates are better than none.
                _logger.warning("the renewed certificates cannot be read yet, the old ones stay: %s", error)
                return None
            seen = times
            return configuration

        return renewed

    def _times(self) -> list[int | None]:
        paths = (self.certificate, self.key, self.client_ca)
        return [os.stat(path).st_mtime_ns if os.path.exists(path) else None for path in paths if path]


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
        """For gRPC; UserError when a file cannot be used, or one of certificate and key is missing."""
        if (self.certificate is None) != (self.key is None):
            raise UserError("a client's certificate and its key belong together: give both or neither")
        key, certificate = (_read(path) if path else None for path in (self.key, self.certificate))
        if self.key and self.certificate:
            _check_pair(self.certificate, self.key)
        return grpc.ssl_channel_credentials(
            root_certificates=_read_authority(self.ca) if self.ca else None,
            private_key=key,
            certificate_chain=certificate,
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


def _read_authority(path: str) -> bytes:
    content = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise UserError(
            f"{path} has no certificate of an authority that can be read ({error.reason}): give its PEM file"
        ) from None
    return content


def _check_pair(certificate: str, key: str) -> None:
    """gRPC itself says nothing of files that do not fit, and refuses every connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong a key must be is gRPC's business
    try:
        context.load_cert_chain(certificate, key, password="")  # else it would ask for one
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{certificate} and {key} are not a certificate and its key ({reason}): give the PEM files of one pair, "
            "the key without a password"
        ) from None
