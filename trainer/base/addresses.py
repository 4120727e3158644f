"""The rules of file addresses: local paths, and gs:// addresses as Google Cloud Storage allows them.

All verbs check their addresses here, so that an invalid one is refused before anything starts.
https://cloud.google.com/storage/docs/buckets#naming and .../objects#naming
"""

import re
import urllib.parse
from collections.abc import Iterable
from typing import NamedTuple

from trainer.base.errors import UserError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BUCKET = re.compile(r"[a-z0-9]([-_.a-z0-9]*[a-z0-9])?")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_ELSEWHERE = ("http", "https", "ftp", "s3")
"""Schemes that TensorFlow has no file system for, which it would say after seconds."""
_WILDCARDS = "*?[]"
_OF_A_SHELL = re.compile(r"(~|\$\w+|\$\{\w+\})(?=/|$)")
"""What a shell replaces at the beginning of a path, unless it stands in quotes, in a file, or behind --option=."""

MAX_OBJECT_BYTES = 1024
"""Most bytes of an object's name in UTF-8."""

MAX_COMPONENT_BYTES = 255
"""Most bytes of one name in a local path, in UTF-8: the limit of Linux's file systems."""


class BucketAddress(NamedTuple):
    """An address in a bucket.

    Attributes:
        bucket: Name of the bucket.
        name: Name of the object or directory in it, without slashes at its ends; empty for the bucket itself.
    """

    bucket: str
    name: str


def check_address(address: str, what: str, *, pattern: bool = False, any_scheme: bool = False) -> None:
    """Checks that a file or directory can have this address.

    Args:
        address: A local path, or gs://BUCKET/NAME.
        what: The option or key that it was given with, for the message.
        pattern: Whether wildcards and {SPAN} may stand in it.
        any_scheme: Whether schemes other than gs:// pass, since TensorFlow may have a file system for them.

    Raises:
        UserError: The address is invalid. The message has the rule, what was received and what to give instead.

    >>> check_address("gs://my-bucket/models", "push.directory")
    >>> check_address("gs://My_Bucket!/models", "push.directory")
    Traceback (most recent call last):
    trainer.base.errors.UserError: push.directory: 'gs://My_Bucket!/models' is no address: a bucket's name has lower-case letters, digits, hyphens, underscores and dots, and begins and ends with a letter or digit
    """  # noqa: E501
    if reason := address_fault(address, pattern=pattern, any_scheme=any_scheme):
        raise UserError(f"{what}: {address!r:.200} is no address: {reason}")


def check_bucket_address(address: str, what: str, *, pattern: bool = False) -> None:
    """Checks that an address is that of a file or directory in a bucket, not a local path or a bucket alone.

    Args:
        address: gs://BUCKET/NAME.
        what: The option or key that it was given with, for the message.
        pattern: Whether wildcards and {SPAN} may stand in it.

    Raises:
        UserError: The address is invalid. The message has the rule, what was received and what to give instead.
    """
    if reason := bucket_address_fault(address, pattern=pattern):
        raise UserError(f"{what}: {address!r:.200} is no place in a bucket: {reason}")


def is_http_url(text: str) -> bool:
    """Whether a text is the URL of a server: http or https, a host, and a port from 1 to 65535 or none.

    >>> is_http_url("http://localhost:8080"), is_http_url("http://localhost:99999"), is_http_url("http://[::1")
    (True, False, False)
    """
    try:
        parts = urllib.parse.urlsplit(text)
        # The port is parsed when it is asked for.
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not re.search(r"\s", text)
        )
    except ValueError:
        return False


def check_local(path: str, what: str) -> None:
    """Checks that a path is one of this machine.

    Args:
        path: Path of a file or directory.
        what: The option or key that it was given with, for the message.

    Raises:
        UserError: The address is invalid. The message has the rule, what was received and what to give instead.
    """
    check_address(path, what)
    if "://" in path:
        raise UserError(f"{what}: {path!r} is not on this machine; give a local path")


def parse_bucket_address(address: str, what: str) -> BucketAddress:
    """Splits a gs:// address into its bucket and its name.

    Args:
        address: gs://BUCKET/NAME, or gs://BUCKET.
        what: The option or key that it was given with, for the message.

    Raises:
        UserError: It is no valid gs:// address.
    """
    check_address(address, what)
    if not address.startswith("gs://"):
        raise UserError(f"{what}: {address!r} is no directory in a bucket: give gs://BUCKET/DIRECTORY")
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return BucketAddress(bucket, name.strip("/"))


def check_inside(names: Iterable[str], where: str) -> None:
    """Checks that files of these names stay inside of the directory that they are written to or read from.

    All code that takes names of files from outside (objects of a bucket, a manifest, a compiled pipeline) asks this
    before it touches the first of them.

    Args:
        names: Paths relative to a directory, with forward slashes.
        where: What the names come from, for the message.

    Raises:
        UserError: A name would lead out of the directory, or can be no file's name.

    >>> check_inside(["variables/variables.index"], "gs://my-bucket/models/5")
    >>> check_inside(["../../.bashrc"], "gs://my-bucket/models/5")
    Traceback (most recent call last):
    trainer.base.errors.UserError: gs://my-bucket/models/5: the name '../../.bashrc' leads out of its directory; nothing was written
    """  # noqa: E501
    for name in names:
        if any(part in ("", ".", "..") for part in name.split("/")):
            fault = "leads out of its directory"
        else:
            fault = "has a control character" if _CONTROL.search(name) else _local_fault(name)
        if fault:
            raise UserError(f"{where}: the name {name!r:.200} {fault}; nothing was written")


def address_fault(address: str, *, pattern: bool = False, any_scheme: bool = False) -> str | None:
    """Returns the rule that an address breaks, as `check_address` words it; None for a valid address."""
    if not address.strip():
        return "it is empty"
    if _CONTROL.search(address):
        return "it has a control character, such as a line's end"
    if re.match(r"gs:/?(?!/)", address):
        return "two slashes stand behind gs:"
    if "://" not in address:
        return _local_fault(address)
    scheme = _SCHEME.match(address)
    if scheme and scheme[1] not in ("gs", *_ELSEWHERE) and any_scheme:
        return None
    if scheme is None or scheme[1] != "gs":
        known = address.partition("://")[0]
        return f"{known}:// is not supported; give a local path (a mounted one will do), or gs://BUCKET/DIRECTORY"
    bucket, _, name = address.removeprefix("gs://").partition("/")
    return _bucket_fault(bucket) or _object_fault(name.removesuffix("/"), pattern)


def bucket_address_fault(address: str, *, pattern: bool = False) -> str | None:
    """Returns the rule that an address breaks, as `check_bucket_address` words it; None for a valid address."""
    if fault := address_fault(address, pattern=pattern):
        return fault
    if not address.startswith("gs://") or not address.removeprefix("gs://").partition("/")[2].strip("/"):
        return "give gs://BUCKET/DIRECTORY"
    return None


def _local_fault(path: str) -> str | None:
    if mark := _OF_A_SHELL.match(path):
        return f"only a shell replaces {mark[0]}, where a word begins and without quotes: write the directory out"
    for part in path.split("/"):
        if len(part.encode(errors="surrogateescape")) > MAX_COMPONENT_BYTES:
            return f"a name in a path has at most {MAX_COMPONENT_BYTES} bytes"
    return None


def _bucket_fault(bucket: str) -> str | None:
    if not _BUCKET.fullmatch(bucket):
        return (
            "a bucket's name has lower-case letters, digits, hyphens, underscores and dots, and begins and ends with a "
            "letter or digit"
        )
    longest = 222 if "." in bucket else 63
    if not 3 <= len(bucket) <= longest or any(not 1 <= len(part) <= 63 for part in bucket.split(".")):
        return "a bucket's name has 3 to 63 characters (222 with dots, and 1 to 63 between two dots)"
    if _IP_ADDRESS.fullmatch(bucket):
        return "a bucket's name is no IP address"
    if bucket.startswith("goog") or "google" in bucket:
        return "a bucket's name does not begin with goog, and has no google in it"
    return None


def _object_fault(name: str, pattern: bool) -> str | None:
    if not name:
        return None
    if len(name.encode(errors="surrogateescape")) > MAX_OBJECT_BYTES:
        return f"an object's name has at most {MAX_OBJECT_BYTES:,} bytes"
    parts = name.split("/")
    if "" in parts:
        return "two slashes stand together"
    if "." in parts or ".." in parts:
        return "a bucket knows no . and .. directories"
    if name.startswith(".well-known/acme-challenge"):
        return "a bucket takes no name that begins with .well-known/acme-challenge"
    if not pattern and any(character in _WILDCARDS for character in name):
        return f"the characters {_WILDCARDS} are wildcards to the libraries that read it"
    return None
