"""Certificates from files, for servers and clients."""

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from trainer.base.errors import UserError
from trainer.base.files import at_once

_logger = logging.getLogger("yt8m.serve")


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """PEM files of a server. When they are replaced, new connections use the new ones.

    Attributes:
        certificate: Path of the server's certificate, with its chain.
        key: Path of the certificate's private key.
        client_ca: Path of the certificates of authorities that sign clients' certificates; every client must then have
            one. None to serve all clients.
    """

    certificate: str
    key: str
    client_ca: str | None = None

    def check(self) -> None:
        """Reads the files.

        Raises:
            UserError: A file cannot be used.
        """
        self._configuration()

    def credentials(self) -> grpc.ServerCredentials:
        """Makes the credentials of a gRPC server.

        Raises:
            UserError: A file cannot be used.
        """
        renewal = self._renewal()  # notes the files' times first, so that no replacement is missed
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), renewal, require_client_authentication=self.client_ca is not None
        )

    def http_context(self) -> ssl.SSLContext:
        """Makes the context of an HTTP server.

        Where there is a `client_ca`, a client without a certificate may connect, since probes of Kubernetes have none:
        the server has to refuse it all but those. One with a certificate of another authority may not.

        Raises:
            UserError: A file cannot be used.
        """
        seen, current = self._times(), self._http_context()

        def renew(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
            nonlocal seen, current
            if (times := self._times()) != seen:
                try:
                    current, seen = self._http_context(), times
                except UserError as error:
                    _say_not_renewed(error)
            connection.context = current

        context = self._http_context()
        context.sni_callback = renew  # OpenSSL calls it for each new connection
        return context

    def _http_context(self) -> ssl.SSLContext:
        self._configuration()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = _read(self.key), _read(self.certificate)
        _check_pair(self.certificate, self.key)
        authority = _read_authority(self.client_ca) if self.client_ca else None
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)

    def _renewal(self) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
        """Makes what gRPC calls for each new connection: it returns new certificates, or None to keep the old ones."""
        seen = self._times()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            times = self._times()
            if times == seen:
                return None
            try:
                configuration = self._configuration()
            except UserError as error:
                _say_not_renewed(error)
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
        ca: Path of the certificates of authorities that sign the server's certificate; None for those that the system
            trusts.
        certificate: Path of the client's certificate; None where the server asks for none.
        key: Path of the certificate's private key.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Makes the credentials of a gRPC channel.

        Raises:
            UserError: A file cannot be used, or only one of certificate and key is given.
        """
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


def _say_not_renewed(error: UserError) -> None:
    # A renewal under way, or one that failed: the old certificates are better than none.
    _logger.warning("the renewed certificates cannot be read yet, the old ones stay: %s", error)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", opener=at_once) as file:
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
    except ssl.SSLError:
        raise UserError(
            f"{path}: no certificate in it that can be read; give the PEM file of the authority"
        ) from None
    return content


def _check_pair(certificate: str, key: str) -> None:
    """Checks that a certificate and a key belong together: gRPC would say nothing and refuse every connection."""
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
