#!/usr/bin/env python3
"""Writes the digests of container images beside their tags, which can move: in Dockerfile and in k8s/.

    scripts/pin_images.py                   asks the registries and writes
    scripts/pin_images.py --check           asks and writes nothing; exit code 1 where a digest is missing or another

Needs nothing but Python 3 and a way to the registries (OCI distribution specification, section "Pulling manifests").
"""

import argparse
import functools
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKER_HUB = "https://registry-1.docker.io"
KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_FROM = re.compile(r"^(FROM )([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?( AS )", re.MULTILINE)


@functools.cache
def digest(image: str) -> str:
    """Returns the digest, sha256:..., of an image such as python:3.13-slim or HOST/NAME:TAG."""
    name, _, tag = image.rpartition(":")
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host):
        registry, name = ("http://" if host.startswith(("localhost", "127.")) else "https://") + host, rest
    else:
        registry, name = DOCKER_HUB, name if slash else f"library/{name}"
    request = urllib.request.Request(
        f"{registry}/v2/{name}/manifests/{tag}", method="HEAD", headers={"Accept": KINDS}
    )
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        request.add_header("Authorization", f"Bearer {_token(error.headers['WWW-Authenticate'])}")
        answer = urllib.request.urlopen(request, timeout=30)
    found = answer.headers["Docker-Content-Digest"] or ""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        raise ValueError(f"the registry says no digest of it: {found!r}")
    return found


def _token(challenge: str) -> str:
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: fields[key] for key in ("service", "scope") if key in fields})
    with urllib.request.urlopen(f"{fields['realm']}?{query}", timeout=30) as answer:
        tree = json.load(answer)
    return tree.get("token") or tree["access_token"]


def pinned_dockerfile(text: str) -> str:
    """Returns a Dockerfile with the digest behind each tag of a FROM line."""
    return _FROM.sub(lambda match: f"{match[1]}{match[2]}@{digest(match[2])}{match[3]}", text)


def pinned_kustomization(text: str) -> str:
    """Returns a kustomization with the digest beside each tag of its `images`."""
    lines, name = [], ""
    for line in text.splitlines(keepends=True):
        if found := re.match(r" +-? *(?:name|newName): (\S+)", line):
            name = found[1]
        if re.match(r" +digest: sha256:", line):
            continue
        lines.append(line)
        if found := re.match(r"( +)newTag: (\S+)", line):
            lines.append(f"{found[1]}digest: {digest(f'{name}:{found[2]}')}\n")
    return "".join(lines)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Pins all images of the project; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    changed = []
    for path in (root / "Dockerfile", *sorted((root / "k8s").rglob("kustomization.yaml"))):
        before = path.read_text(encoding="utf-8")
        try:
            after = (pinned_dockerfile if path.name == "Dockerfile" else pinned_kustomization)(before)
        except (OSError, ValueError, KeyError) as error:
            print(
                f"pin_images: {path.relative_to(root)}: {error}. Is the registry reachable?", file=sys.stderr
            )
            return 2
        if after != before:
            changed.append(path)
            if not check:
                path.write_text(after, encoding="utf-8")
    for path in changed:
        print(f"{'not pinned' if check else 'pinned'}: {path.relative_to(root)}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
