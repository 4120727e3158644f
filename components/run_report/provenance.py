"""Which code runs: the version of this project, its commit, and the lock file that its libraries come from."""

import hashlib
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from pydantic import Field

from components.report_file import ReportPart

_ROOT = Path(__file__).parents[2]
_LOCK = "requirements.lock" if sys.version_info < (3, 12) else "requirements-tfx121.lock"
"""The lock file of this Python, as scripts/setup.sh chooses it."""


class CodeVersion(ReportPart):
    """Which code ran; None for what is not known."""

    version: str | None = Field(description="Version of this project.")
    commit: str | None = Field(description="Commit of git, with `+` where files of it were changed.")
    lock_sha256: str | None = Field(description="SHA-256 of the lock file of the libraries, in hexadecimal.")


def code_version() -> CodeVersion:
    """Returns the version of the code that runs.

    The version is None where the project is not installed. The commit is that of the git checkout the code runs from;
    elsewhere what the image was built of, if it was told. The lock file lies in the checkout, and in the image beside
    the packages.
    """
    lock = next((path for path in (_ROOT / _LOCK, Path(sys.prefix) / _LOCK) if path.is_file()), None)
    return CodeVersion(
        version=_version(),
        commit=_commit(),
        lock_sha256=lock and hashlib.sha256(lock.read_bytes()).hexdigest(),
    )


def _version() -> str | None:
    try:
        return metadata.version("yt8m")
    except metadata.PackageNotFoundError:  # run from its sources
        return None


def _commit() -> str | None:
    if not (_ROOT / ".git").exists():
        revision = os.environ.get("YT8M_REVISION", "unknown")
        return None if revision == "unknown" else revision

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
