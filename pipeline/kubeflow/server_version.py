"""Which release of Kubeflow Pipelines a server is, and what depends on it."""

import re
from dataclasses import dataclass
from typing import Any

_RELEASE = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?([-+.].*)?")
_FIRST_WITH_ORPHANS = (2, 16)


@dataclass(frozen=True)
class ServerVersion:
    """A release.

    Attributes:
        text: As the server says it, such as 2.17.0; empty where it does not say.
    """

    text: str

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor number; None where the text is no release's, such as a build of one's own."""
        found = _RELEASE.fullmatch(self.text)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def keeps_runs_of_deleted_schedules(self) -> bool:
        """Whether a recurring run can be deleted without the workflows that it has started.

        Servers before 2.16 ignore the wish without a word, so one of an unknown version is taken for one of them.
        """
        return self.release is not None and self.release >= _FIRST_WITH_ORPHANS

    def __str__(self) -> str:
        return f"Kubeflow Pipelines {self.text}" if self.release else "Kubeflow Pipelines of unknown version"


def from_health_check(answer: dict[str, Any]) -> ServerVersion:
    """The version in the answer of `/apis/v2beta1/healthz`, the API server's own or the user interface's."""
    return ServerVersion(str(answer.get("tag_name") or answer.get("apiServerTagName") or ""))
