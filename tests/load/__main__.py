"""``make load``: the pushed demo ensemble behind ``yt8m serve``, under load on the loopback.

    python -m tests.load --clients 1 8 64 --seconds 9

prints a Markdown table and one JSON document. The clients run on the same machine and take their share of it.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.cli.guard import guarded
from pipeline.recipe.loader import load_recipe
from serving.store import model_store
from tests.argument_types import real, whole
from tests.load.clients import Clients, RestClients
from tests.load.measure import measure_load, measure_swaps
from tests.records import random_example
from trainer.base.errors import UserError
from trainer.data.yt8m import MAX_FRAMES

MODEL_NAME = "yt8m"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=load_recipe("demo").push.directory, help="Directory of versions.")
    parser.add_argument("--clients", type=whole(), nargs="+", default=[1, 8, 64])
    parser.add_argument(
        "--frames", type=whole(most=MAX_FRAMES), default=300, help="Of the one video of a request."
    )
    parser.add_argument("--seconds", type=real(0.1), default=9.0, help="Of each open loop.")
    parser.add_argument(
        "--batch", type=whole(), default=16, help="The server's --max-batch-size with batching."
    )
    given = parser.parse_args()
    version = model_store.latest_version(given.model)
    if version is None:
        raise UserError(f"{given.model} has no model to load: run make demo first, or give --model DIRECTORY")
    examples = [random_example(np.random.default_rng(0), given.frames)]
    with tempfile.TemporaryDirectory(prefix="yt8m-load-") as scratch:
        base = os.path.join(scratch, "base")
        shutil.copytree(os.path.join(given.model, str(version)), os.path.join(base, "1"))
        rows = []
        for batching in (0, given.batch):
            with _serving(base, batching) as targets:
                rows += [
                    {
                        "batching": batching,
                        "protocol": protocol,
                        **measure_load(target, MODEL_NAME, examples, count, given.seconds, kind=kind),
                    }
                    for protocol, kind, target in zip(
                        ("gRPC", "REST"), (Clients, RestClients), targets, strict=True
                    )
                    for count in given.clients
                ]
        rate = 0.5 * max(row["capacity_per_second"] for row in rows)
        with _serving(base, given.batch) as (target, _):
            swaps = measure_swaps(target, base, MODEL_NAME, examples, rate, 2 * given.seconds)
    sys.stdout.write(_table(rows, swaps))
    document = {"load_average": os.getloadavg(), "frames": given.frames, "load": rows, "swaps": swaps}
    sys.stdout.write(f"\n{json.dumps(document, indent=1)}\n")


@contextlib.contextmanager
def _serving(base: str, batching: int) -> Iterator[tuple[str, str]]:
    """HOST:PORT of ``yt8m serve`` in a process of its own, for gRPC and for HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        http_port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline.cli.main", "serve", base, "--port", "0"]
    command += ["--model-name", MODEL_NAME, "--max-batch-size", str(batching), "--http-port", str(http_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            target = process.stdout.readline().strip()
            if not target:
                raise UserError(f"the server of {base} did not start: its reason stands above")
            yield target, f"127.0.0.1:{http_port}"
        finally:
            process.terminate()


def _table(rows: list[dict[str, Any]], swaps: dict[str, Any]) -> str:
    lines = [
        "| server | clients | most videos/s | offered | answered | p50 ms | p95 ms | p99 ms | errors |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        kind = f"batches of {row['batching']}" if row["batching"] else "no batching"
        kind += ", REST" if row["protocol"] == "REST" else ""
        lines.append(_line(kind, row, f"{row['capacity_per_second']:.1f}"))
    by_version = ", ".join(f"{count} by {version}" for version, count in swaps["answers_by_version"].items())
    lines.append(_line(f"two new versions ({by_version})", swaps, ""))
    return "\n".join(lines) + "\n"


def _line(kind: str, row: dict[str, Any], capacity: str) -> str:
    speeds = f"{row['offered_per_second']:.1f} | {row['answers_per_second']:.1f}"
    times = " | ".join(f"{row[f'p{percent}_ms']:.1f}" for percent in (50, 95, 99))
    return f"| {kind} | {row['clients']} | {capacity} | {speeds} | {times} | {sum(row['errors'].values())} |"


if __name__ == "__main__":
    guarded(main)
