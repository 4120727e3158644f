"""All benchmarks, one after the other, each in a process of its own (`make bench`).

    python -m tests.benchmarks                   # those of this package
    python -m tests.benchmarks metrics averaging # some of them

Writes `build/benchmarks.json` (the machine, and the figures by benchmark) and `build/benchmarks.md` (one table), anew
after each benchmark. One that fails takes nothing from the others; the exit code is 1 then.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, markdown
from tests.benchmarks.machine import in_words, machine

_HERE = Path(__file__).parent


def benchmarks(directory: Path = _HERE) -> list[str]:
    """The modules of a package that have a function `figures`, told without importing them; ascending."""
    return sorted(path.stem for path in directory.glob("*.py") if _has_figures(path))


def _has_figures(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "figures" for node in tree.body)


def run_all(names: Sequence[str], out: Path, package: str = "tests.benchmarks") -> bool:
    """Runs benchmarks and writes what they measured; whether all of them went to their end."""
    out.mkdir(parents=True, exist_ok=True)
    described, results = machine(), {}
    for index, name in enumerate(names, start=1):
        sys.stderr.write(f"[{index}/{len(names)}] {name} ...\n")
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"{package}.{name}", "--json"], stdout=subprocess.PIPE, text=True
        )
        results[name] = {
            "seconds": round(time.monotonic() - begin, 1),
            "exit_code": done.returncode,
            "figures": [] if done.returncode else json.loads(done.stdout),
        }
        _write(out, described, results)
        verdict = "" if done.returncode == 0 else f", FAILED with exit code {done.returncode}"
        sys.stderr.write(f"[{index}/{len(names)}] {name}: {results[name]['seconds']:.0f} s{verdict}\n")
    return all(result["exit_code"] == 0 for result in results.values())


def _write(out: Path, described: dict[str, Any], results: Mapping[str, Any]) -> None:
    document = json.dumps({"machine": described, "benchmarks": results}, indent=1)
    (out / "benchmarks.json").write_text(f"{document}\n", encoding="utf-8")
    table = markdown(Figure(**row) for result in results.values() for row in result["figures"])
    failed = "".join(f"\n{name} FAILED.\n" for name, result in results.items() if result["exit_code"])
    (out / "benchmarks.md").write_text(f"{in_words(described)}\n\n{table}{failed}", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = benchmarks()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="directory (default: build)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names).difference(known):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")
    complete = run_all(arguments.names or known, arguments.out)
    sys.stdout.write((arguments.out / "benchmarks.md").read_text(encoding="utf-8"))
    sys.exit(not complete)


if __name__ == "__main__":
    main()
