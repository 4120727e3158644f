"""Images are pinned to the digests that a registry says (one here, on the loopback interface)."""

import hashlib
import http.server
import importlib.util
import re
import shutil
import threading
from pathlib import Path

import pytest
import yaml

from tests.k8s.overlays import K8S, SOURCE, find

SCRIPT = SOURCE.parent / "scripts" / "pin_images.py"


def digest_of(name, tag):
    return f"sha256:{hashlib.sha256(f'{name}:{tag}'.encode()).hexdigest()}"


class Registry(http.server.BaseHTTPRequestHandler):
    """Docker Hub's way: a token is asked for before the manifest is."""

    def do_GET(self):
        assert self.path.startswith("/token?service=hub&scope=repository"), self.path
        body = b'{"token": "secret"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        name, tag = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path).groups()
        if self.headers["Authorization"] == "Bearer secret":
            self.send_response(200)
            self.send_header("Docker-Content-Digest", digest_of(name, tag))
        else:
            self.send_response(401)
            realm = f"http://127.0.0.1:{self.server.server_port}/token"
            scope = f"repository:{name}:pull"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="hub",scope="{scope}"')
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def pin_images(monkeypatch):
    spec = importlib.util.spec_from_file_location("pin_images", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(module, "DOCKER_HUB", f"http://127.0.0.1:{server.server_port}")
    yield module
    server.shutdown()
    server.server_close()


@pytest.fixture
def checkout(tmp_path) -> Path:
    shutil.copytree(K8S, tmp_path / "k8s")
    shutil.copy(SOURCE.parent / "Dockerfile", tmp_path)
    return tmp_path


def test_every_image_gets_its_digest(pin_images, checkout, kubectl):
    assert pin_images.main(["--check"], checkout) == 1
    assert pin_images.main([], checkout) == 0
    assert pin_images.main(["--check"], checkout) == 0
    before = (checkout / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+) AS python-tfx121", before, re.MULTILINE)
    assert images == [f"python:3.13-slim-trixie@{digest_of('library/python', '3.13-slim-trixie')}"]
    assert len(re.findall("@sha256:", before)) == 4
    for overlay, tag in (("cpu", "2.20.0"), ("gpu", "2.20.0-gpu")):
        text = kubectl("kustomize", str(checkout / "k8s" / "serving" / "overlays" / overlay))
        pod = find(list(yaml.safe_load_all(text)), "Deployment")["spec"]["template"]["spec"]
        (server,) = pod["containers"]
        assert server["image"].endswith(f"@{digest_of('tensorflow/serving', tag)}")
        assert "@sha256:" in pod["initContainers"][0]["image"]


def test_no_registry_is_one_line_and_changes_nothing(pin_images, checkout, monkeypatch, capsys):
    monkeypatch.setattr(pin_images, "DOCKER_HUB", "http://127.0.0.1:1")
    before = (checkout / "Dockerfile").read_text(encoding="utf-8")
    assert pin_images.main([], checkout) == 2
    assert "pin_images: Dockerfile: " in capsys.readouterr().err
    assert (checkout / "Dockerfile").read_text(encoding="utf-8") == before
