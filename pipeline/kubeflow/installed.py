"""Files of this project, wherever it is installed.

A compiled pipeline must not name a path of the machine that compiled it: the container has its own.
"""

import os
from importlib import resources

_PREFIX = "installed:"


def installed_file(package: str, name: str) -> str:
    """Returns a text that stands for a file of a package; `resolve_installed` turns it into a path where it is read."""
    return f"{_PREFIX}{package}/{name}"


def resolve_installed(value: object) -> object:
    """Returns the path that a text of `installed_file` stands for, and any other value unchanged.

    >>> resolve_installed("gs://bucket/file")
    'gs://bucket/file'
    """
    if not isinstance(value, str) or not value.startswith(_PREFIX):
        return value
    package, _, name = value.removeprefix(_PREFIX).partition("/")
    return os.fspath(resources.files(package).joinpath(name))
