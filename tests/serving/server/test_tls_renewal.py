"""Certificates are renewed under a running server."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from serving.base.tls import ClientTls, ServerTls
from tests.serving.certificates import Authority


@pytest.fixture
def server(tmp_path: Path):
    """A server that answers nothing, with a certificate of `first`; the authority that may renew it is `second`."""
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    certificate, key = first.issue("server")
    running = grpc.server(ThreadPoolExecutor(1))
    tls = ServerTls(certificate=certificate, key=key)
    port = running.add_secure_port("127.0.0.1:0", tls.credentials())
    running.start()
    yield port, tls, first, second
    running.stop(None)


def connects(port: int, ca: str) -> bool:
    with grpc.secure_channel(f"127.0.0.1:{port}", ClientTls(ca=ca).credentials()) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=2)
        except grpc.FutureTimeoutError:
            return False
    return True


def test_new_connections_get_the_renewed_certificate(server):
    port, tls, first, second = server
    assert connects(port, first.ca)
    assert not connects(port, second.ca)
    certificate, key = second.issue("renewed")
    os.replace(key, tls.key)
    os.replace(certificate, tls.certificate)
    assert connects(port, second.ca)
    assert not connects(port, first.ca)


def test_unreadable_files_leave_the_old_certificate_in_use(server):
    port, tls, first, second = server
    certificate, key = second.issue("renewed")
    Path(tls.certificate).write_text("nonsense")
    assert connects(port, first.ca)
    os.unlink(tls.certificate)
    assert connects(port, first.ca)
    os.replace(key, tls.key)
    os.replace(certificate, tls.certificate)
    assert connects(port, second.ca)
