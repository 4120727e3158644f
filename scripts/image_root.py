#!/usr/bin/env python3
"""Builds the image's file system without Docker, and runs a step of a pipeline in it as Kubernetes would.

    scripts/in_debian13.sh python3 scripts/image_root.py         (make test-image)

It carries out the Dockerfile's own instructions, each stage on top of this Debian 13, the system of the default
base image, in an overlay that is thrown away. Then a step of a compiled pipeline runs there as the image's user, with
a root that cannot be written to; only HOME and /tmp can.

Unlike the image: the base is this Debian and its Python; what comes from Beam's image is left out; packages come from
uv's cache where it has them.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "image"
MADE = Path("/.made")
"""What scripts/in_debian13.sh leaves in a Debian 13 that it made."""

STEP = r"""
set -eu
cd /tmp
yt8m data sample data --train-videos 60 --validate-videos 60 --shards 2 > /dev/null
yt8m compile --recipe demo --image yt8m:1.0 --pipeline-root gs://bucket/root --out whole.yaml \
  --train '/tmp/data/train*.tfrecord' --validate '/tmp/data/validate*.tfrecord' \
  --set kubernetes.volumes.here=/tmp --set push.directory=/tmp/models > /dev/null
# The first step that reads videos, by itself.
python - << 'END'
import yaml
name = "YouTube8MExampleGen"
spec, platform = yaml.safe_load_all(open("whole.yaml"))
tasks = spec["components"]["Retraining"]["dag"]["tasks"]
spec["root"]["dag"]["tasks"] = {name: {key: value for key, value in tasks[name].items() if key != "dependentTasks"}}
with open("one.yaml", "w") as file:
    yaml.safe_dump_all([spec, platform], file)
END
yt8m rehearse one.yaml --root rehearsals --json
"""


def instructions(text: str) -> list[tuple[str, str]]:
    """Returns a Dockerfile's instructions, each a word and its argument, without comments and line breaks."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in joined.splitlines()]


def expand(text: str, values: dict[str, str]) -> str:
    """Puts in the values of ${NAME}."""
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], ""), text)


class Stage:
    """One stage: an overlay on this system, and what its instructions have set so far."""

    def __init__(self, name: str, arguments: dict[str, str]) -> None:
        self.values = dict(arguments)
        self.environment = {"PATH": "/usr/local/base/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.directory, self.user = "/", "0:0"
        self.root, self.upper, work = (WORK / name / part for part in ("root", "upper", "work"))
        for path in (self.root, self.upper, work):
            path.mkdir(parents=True)
        run(
            "mount",
            "-t",
            "overlay",
            "overlay",
            "-o",
            f"lowerdir=/,upperdir={self.upper},workdir={work}",
            self.root,
        )
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--rbind", "/dev", self.root / "dev")
        cache = os.environ["UV_CACHE_DIR"]
        run("mount", "--bind", cache, f"{self.root}{cache}")
        # What the base image has at these places.
        self.run("python3 -m venv /usr/local/base")
        for name in ("python3", "python"):
            (self.root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")

    def run(self, script: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell script in the stage."""
        registries = {
            key: value
            for key, value in os.environ.items()
            if re.match("PIP_|UV_(?!NO_CACHE)|SSL_|.*proxy$", key)
        }
        environment = {**registries, **self.values, **self.environment, **changes}
        environment.pop("UV_NO_CACHE", None)
        command = ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i"]
        command += [f"{key}={value}" for key, value in environment.items()]
        return run(*command, "sh", "-c", f"cd {shlex.quote(self.directory)} && {script}")

    def copy(self, argument: str, stages: dict[str, "Stage"]) -> None:
        """Carries out COPY."""
        flags = dict(word[2:].split("=", 1) for word in argument.split() if word.startswith("--"))
        *sources, target = (word for word in argument.split() if not word.startswith("--"))
        if "from" in flags and flags["from"] not in stages:
            print(f"image: left out: COPY {argument}", flush=True)
            return
        origin = stages[flags["from"]].root if "from" in flags else ROOT
        destination = self.root / os.path.join(self.directory, target).lstrip("/")
        for source in sources:
            inside = destination / Path(source).name if target.endswith("/") else destination
            inside.parent.mkdir(parents=True, exist_ok=True)
            run("cp", "-a", "-T", origin / source.lstrip("/"), inside)
            if "chmod" in flags:
                inside.chmod(int(flags["chmod"], 8))


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """Runs a command; ends this program with its output where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"image: {shlex.join(map(str, command))[-500:]}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def build() -> Stage:
    """Carries out the Dockerfile; returns its last stage."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for word, argument in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        if word == "FROM":
            base, _, name = argument.partition(" AS ")
            base = expand(base, arguments)
            # Images of others are only named; a stage of ours begins with python-LANE.
            stage = Stage(name or "final", arguments) if base.startswith("python-") else None
            if stage:
                stages[name or "final"] = stage
        elif word == "ARG":
            name, _, default = argument.partition("=")
            (stage.values if stage else arguments).setdefault(name, default)
        elif stage is None:
            sys.exit(f"image: {word} before a stage of ours")
        elif word == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", argument):
                stage.environment[name] = expand(value, stage.values)
        elif word == "WORKDIR":
            stage.directory = argument
            (stage.root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            stage.copy(argument, stages)
        elif word == "RUN":
            stage.run(argument)
        elif word == "USER":
            stage.user = argument
        elif word not in ("LABEL", "ENTRYPOINT", "CMD"):
            sys.exit(f"image: this program does not know {word}")
    return stages["final"]


def main() -> None:
    """Builds, says the size, and runs the step."""
    if sys.argv[1:] or not MADE.exists():
        # Elsewhere the mounts would be this system's, and would stay.
        sys.stderr.write("image: run it without arguments, and inside a Debian 13: make test-image\n")
        sys.exit(2)
    shutil.rmtree(WORK, ignore_errors=True)
    stage = build()
    size = int(run("du", "-s", "--block-size=1M", stage.upper / "opt/venv").stdout.split()[0])
    print(f"image: {size} MB of packages in /opt/venv, without the base image and Beam's worker", flush=True)
    home = stage.root / stage.environment["HOME"].lstrip("/")
    for path in (stage.root / "tmp", home):
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", path)
    run("mount", "-o", "remount,ro,bind", stage.root)
    stage.directory = stage.environment["HOME"]
    if stage.run("touch /opt/written 2>/dev/null && echo yes || echo no").stdout != "no\n":
        sys.exit("image: the root can be written to")
    (who,) = stage.run("id -u").stdout.split()
    if "pytest" in stage.run("python -c 'import importlib.util as u; print(u.find_spec(\"pytest\"))'").stdout:
        sys.exit("image: it has packages that only tests want")
    outcome = json.loads(stage.run(STEP, HOME=stage.environment["HOME"]).stdout)
    states = {task["task"]: task["state"] for task in outcome["tasks"]}
    if states != {"YouTube8MExampleGen": "succeeded"}:
        sys.exit(f"image: {json.dumps(outcome, indent=1)}")
    print(f"image: YouTube8MExampleGen succeeded as user {who} with a root that cannot be written to")


if __name__ == "__main__":
    main()
