"""What scripts/setup.sh decides on machines of several kinds: its facts come from stand-ins on the PATH."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "scripts" / "setup.sh"

TOOLS = ("bash", "sh", "awk", "sort", "head", "dirname", "mkdir", "rm", "touch", "grep", "cat")

PYTHON = """#!/bin/sh
case "$2" in
  *sys.executable*) if [ "$3" = {version} ]; then echo "$0"; fi ;;
  *ensurepip*) exit {without_venv} ;;
  *Python.h*) exit {without_headers} ;;
  *) echo {version} ;;
esac
"""

DEBIAN_12 = "ID=debian\nVERSION_ID=12\n"
DEBIAN_13 = "ID=debian\nVERSION_ID=13\n"
UBUNTU_24 = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
UBUNTU_26 = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="26.04"\n'
FEDORA = "ID=fedora\nVERSION_ID=44\n"


class Machine:
    """A PATH with nothing but what a test puts there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        # The script works beside itself: a checkout without a .uv/ of an earlier set-up.
        (directory / "main" / "scripts").mkdir(parents=True)
        shutil.copy(SETUP, directory / "main" / "scripts")

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def python(self, version: str, *, name: str = "", venv: bool = True, headers: bool = True) -> None:
        script = PYTHON.format(version=version, without_venv=int(not venv), without_headers=int(not headers))
        self.put(name or f"python{version}", script)

    def check(
        self,
        release: str,
        glibc: str,
        *,
        architecture: str = "x86_64",
        compiler: bool = True,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        (self.directory / "os-release").write_text(release, encoding="utf-8")
        self.put("uname", f"#!/bin/sh\necho {architecture}\n")
        self.put("getconf", f"#!/bin/sh\necho glibc {glibc}\n" if glibc else "#!/bin/sh\nexit 1\n")
        if compiler:
            self.put("c++", "#!/bin/sh\n")
        environment = {"PATH": str(self.bin), "OS_RELEASE": str(self.directory / "os-release"), **variables}
        return subprocess.run(
            ["bash", str(self.directory / "main" / "scripts" / "setup.sh"), "--check"],
            env=environment,
            capture_output=True,
            text=True,
        )

    def sets_up(self, uv: str) -> subprocess.CompletedProcess[str]:
        """Installs with a stand-in for uv, of which `pip sync` does what the script says."""
        self.python("3.11")
        main = self.directory / "main"
        (main / "requirements.lock").write_text("numpy==1.26.4\n", encoding="utf-8")
        (main / "requirements-dev.lock").write_text("pytest==9.0.1\n", encoding="utf-8")
        self.check(DEBIAN_12, "2.36")  # puts the other stand-ins there
        self.put("uv", f'#!/bin/sh\nmkdir -p .venv\n[ "$1 $2" = "pip sync" ] || exit 0\n{uv}\n')
        return subprocess.run(
            ["bash", str(main / "scripts" / "setup.sh")],
            env={"PATH": str(self.bin), "OS_RELEASE": str(self.directory / "os-release")},
            capture_output=True,
            text=True,
        )

    def takes(self, release: str, glibc: str, **variables: str) -> str:
        done = self.check(release, glibc, **variables)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.removeprefix("setup: ").strip().replace(f"{self.bin}{os.sep}", "")

    def lacks(self, release: str, glibc: str, **how: object) -> str:
        done = self.check(release, glibc, **how)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line.removeprefix("setup: ")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


OLD = "requirements.lock on Python 3.11 (python3.11)"


def test_the_newer_one_where_glibc_and_python_are_new_enough(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.12")
    assert machine.takes(UBUNTU_24, "2.39") == "requirements-tfx121.lock on Python 3.12 (python3.12)"
    machine.python("3.13")
    assert machine.takes(DEBIAN_13, "2.41") == "requirements-tfx121.lock on Python 3.13 (python3.13)"
    assert machine.takes(DEBIAN_12, "2.36") == OLD


def test_a_python_known_as_python3_only_is_found(machine: Machine) -> None:
    machine.python("3.13", name="python3")
    assert machine.takes(DEBIAN_13, "2.41") == "requirements-tfx121.lock on Python 3.13 (python3)"


def test_a_name_without_an_interpreter_behind_it_is_none(machine: Machine) -> None:
    machine.python("3.11")
    machine.put("python3.13", "#!/bin/sh\nexit 127\n")
    assert machine.takes(DEBIAN_13, "2.41") == OLD


def test_the_choice_can_be_made_by_hand(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.13")
    assert machine.takes(DEBIAN_13, "2.41", LANE="tfx116") == OLD
    assert machine.lacks(DEBIAN_12, "2.36", LANE="tfx121") == (
        "LANE=tfx121 needs glibc 2.39 or newer (Debian 13, Ubuntu 24.04); this system has 2.36. Leave LANE out."
    )
    assert machine.lacks(DEBIAN_12, "2.36", LANE="new") == "LANE must be tfx116 or tfx121, not new"


@pytest.mark.parametrize(
    ("release", "glibc", "python"),
    [(DEBIAN_12, "2.36", "3.11"), (DEBIAN_13, "2.41", "3.13"), (UBUNTU_24, "2.39", "3.12")],
)
def test_what_is_missing_is_named_with_a_command_that_works_there(
    machine: Machine, release: str, glibc: str, python: str
) -> None:
    assert machine.lacks(release, glibc, compiler=False) == (
        f"missing Python {python} (python{python}), a C++ compiler. Install: sudo apt-get install -y "
        f"python{python} python{python}-venv python{python}-dev g++"
    )
    machine.python(python, venv=False, headers=False)
    assert machine.lacks(release, glibc) == (
        "missing Python's venv module, Python's headers (Python.h). Install: sudo apt-get install -y "
        f"python{python}-venv python{python}-dev"
    )
    # uv makes the environment.
    machine.put("uv", "#!/bin/sh\n")
    assert "venv" not in machine.lacks(release, glibc).partition(". ")[0]


def test_a_python_too_new_for_tensorflow_is_named_and_uv_fetches_one(machine: Machine) -> None:
    assert machine.lacks(UBUNTU_26, "2.43") == (
        "missing a Python 3 with its venv module. Install: sudo apt-get install -y python3-venv"
    )
    machine.python("3.14", name="python3")
    assert machine.takes(UBUNTU_26, "2.43") == (
        "requirements-tfx121.lock on Python 3.13 (fetched by uv: this system has Python 3.14, for which TensorFlow "
        "has no wheels)"
    )


def test_a_python_that_glibc_is_too_old_for(machine: Machine) -> None:
    machine.python("3.13", name="python3")
    assert machine.takes(FEDORA, "2.36") == (
        "requirements.lock on Python 3.11 (fetched by uv: this system has Python 3.13, which does not serve with "
        "glibc 2.36)"
    )


def test_elsewhere_packages_are_named_without_a_command(machine: Machine) -> None:
    machine.python("3.13", headers=False)
    assert machine.lacks(FEDORA, "2.43") == (
        "missing Python's headers (Python.h). Install: what Debian calls python3.13-dev, by this system's package "
        "manager"
    )


def test_machines_without_wheels(machine: Machine) -> None:
    machine.python("3.13")
    assert "this machine is aarch64" in machine.lacks(DEBIAN_13, "2.41", architecture="aarch64")
    assert "wheels for glibc only" in machine.lacks("ID=alpine\n", "")


def test_setting_up_prints_no_line_a_package(machine: Machine) -> None:
    done = machine.sets_up(
        "printf 'Resolved 2 packages\\nDownloading numpy (17.4MiB)\\n + numpy==1.26.4\\n' >&2"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert re.sub(r"\d+ s$", "0 s", done.stderr.strip()).splitlines() == [
        "setup: installing 2 packages for Python 3.11 from requirements.lock into .venv (3 GB; a minute or two)",
        "setup: done in 0 s",
    ]
    assert (machine.directory / "main" / ".venv" / "installed").exists()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "error: Failed to initialize cache at `/cache/uv`\n  cause: failed to create directory: Read-only "
            "file system (os error 30)",
            "Failed to initialize cache at `/cache/uv`: failed to create directory: Read-only file system (os "
            "error 30); name a directory for the cache that can be written to: UV_CACHE_DIR=DIRECTORY make setup",
        ),
        (
            "Resolved 2 packages\nerror: Failed to download `numpy`\n  cause: I/O failed\n  cause: No space left "
            "on device",
            "Failed to download `numpy`: No space left on device; make room on that disk, or name a cache on another "
            "one: UV_CACHE_DIR=DIRECTORY make setup",
        ),
        (
            "error: Failed to fetch: https://x/numpy/\n  cause: error sending request\n  cause: dns error",
            "Failed to fetch: https://x/numpy/: dns error; the package index cannot be reached: is this machine "
            "online? A mirror is named by UV_DEFAULT_INDEX and PIP_INDEX_URL",
        ),
        ("exit of something else", "exit of something else; all that was printed is in build/setup.log"),
    ],
)
def test_what_uv_says_of_a_failure_is_one_line_with_what_helps(
    machine: Machine, said: str, line: str
) -> None:
    done = machine.sets_up(f"cat >&2 <<'END'\n{said}\nEND\nexit 2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[1:] == [f"setup: {line}"]
    assert not (machine.directory / "main" / ".venv" / "installed").exists()
