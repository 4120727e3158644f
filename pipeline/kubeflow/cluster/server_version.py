"""The release of a Kubeflow Pipelines server, and what depends on it."""

import re
from dataclasses import dataclass
from typing import Any

_RELEASE = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?([-+.].*)?")
_FIRST_WITH_ORPHANS = (2, 16)


@dataclass(frozen=True)
class ServerVersion:
    """A release of Kubeflow Pipelines.

    Attributes:
        text: The version as the server reports it, such as 2.17.0; empty where it reports none.
    """

    text: str

    @property
    def release(self) -> tuple[int, int] | None:
        """The major and minor number; None if the text is no release, such as that of a private build."""
        found = _RELEASE.fullmatch(self.text)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def keeps_runs_of_deleted_schedules(self) -> bool:
        """Whether a recurring run can be deleted without the workflows that it has started.

        Servers before 2.16 ignore the request without an error, and a server of unknown version is treated like them.
        """
        return self.release is not None and self.release >= _FIRST_WITH_ORPHANS

    def __str__(self) -> str:
        return f"Kubeflow Pipelines {self.text}" if self.release else "Kubeflow Pipelines of unknown version"


def from_health_check(answer: dict[str, Any]) -> ServerVersion:
    """Returns the version in the answer of `/apis/v2beta1/healthz`: the API server's, or the user interface's."""
    return ServerVersion(str(answer.get("tag_name") or answer.get("apiServerTagName") or ""))
