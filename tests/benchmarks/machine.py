"""What figures were measured on."""

import datetime
import os
import platform
from importlib.metadata import version

_PACKAGES = ("tensorflow", "numpy", "apache-beam", "tfx")


def machine() -> dict[str, object]:
    """Cores that this process may use, processor, memory, versions, load average, date."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def in_words(described: dict) -> str:
    """The same as one sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in described["versions"].items())
    return (
        f"{described['cores']} cores ({described['processor']}), {described['memory_gib']} GiB, {versions}; load "
        f"average {described['load_average'][0]:g} at the start, {described['date'][:10]}."
    )


def _field(path: str, key: str) -> str:
    with open(path, encoding="utf-8") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith(key)), "unknown")
