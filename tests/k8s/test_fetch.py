"""The init container's script, run here with a gcloud that copies from a local directory."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.store import model_store
from serving.store.manifest import MANIFEST
from tests.gcs_emulator import BUCKET
from tests.k8s.overlays import K8S

SERVING = K8S / "serving"
STABLE_ONLY = SERVING / "base" / "config"
CANARY_1 = SERVING / "overlays" / "canary-1"

_GCLOUD = r"""#!/bin/sh
# storage ls gs://DIRECTORY/**
# storage rsync --recursive --delete-unmatched-destination-objects gs://DIRECTORY TARGET
if [ "$1 $2" = "storage ls" ]; then
  directory=${3#gs://}
  cd "${directory%/\*\*}" 2>/dev/null || exit 1
  find . -type f | sed "s|^\.|${3%/\*\*}|"
  if [ -f more-names ]; then cat more-names; fi
  exit 0
fi
[ "$1 $2 $3" = "storage rsync --recursive" ] && [ $# -eq 6 ] || exit 64
rm -rf "$6" && cp -R "${5#gs://}" "$6"
"""


@pytest.fixture
def base(tmp_path, gcs):
    """What lies in a bucket when versions 1 and 2 have been pushed there."""
    directory = tmp_path / "bucket" / "yt8m"
    for content in (b"one", b"two"):
        source = tmp_path / content.decode()
        (source / "variables").mkdir(parents=True)
        (source / "assets.extra").mkdir()
        (source / "saved_model.pb").write_bytes(b"graph " + content)
        (source / "variables" / "variables.index").write_bytes(b"index")
        (source / "variables" / "variables.data-00000-of-00001").write_bytes(content * 1000)
        (source / "assets.extra" / "a name with spaces.json").write_bytes(b"{}")
        model_store.publish(str(source), f"gs://{BUCKET}/yt8m")
    model_store.label(f"gs://{BUCKET}/yt8m", {"stable": 1})
    for name, object_ in gcs.contents("yt8m/").items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(object_)
    return directory


@pytest.fixture
def fetch(tmp_path, base):
    """Runs the script; returns its exit code, what it says, and the directory that the server would read."""
    tools, models, scratch = tmp_path / "bin", tmp_path / "models", tmp_path / "scratch"
    for directory in (tools, models, scratch):
        directory.mkdir()
    (tools / "gcloud").write_text(_GCLOUD, encoding="utf-8")
    (tools / "gcloud").chmod(0o755)

    def run(
        config: Path = STABLE_ONLY, arguments: tuple[str, ...] = (), **environment: str
    ) -> tuple[int, str, Path]:
        variables = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CONFIG_DIR": str(config),
            "MODELS_DIR": str(models),
            "TMPDIR": str(scratch),
            "MODEL_BASE": f"gs://{base}",
            "STABLE_VERSION": "1",
            **environment,
        }
        script = (SERVING / "base" / "config" / "fetch.sh").read_text(encoding="utf-8")
        # As KServe calls it; as a file it is the same.
        command = ["/bin/sh", "-c", script, "fetch.sh", *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr, models

    return run


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def served(models: Path):
    text = (models / "models.config").read_text(encoding="utf-8")
    (config,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    return list(config.model_version_policy.specific.versions), dict(config.version_labels)


def test_a_whole_version_is_laid_where_the_server_looks(fetch, base):
    code, errors, models = fetch()
    assert code == 0, errors
    assert contents(models / "yt8m" / "1") == contents(base / "1")
    assert not (models / "yt8m" / "2").exists()
    assert served(models) == ([1], {"stable": 1})


def test_one_version_as_kserve_asks_for_it(fetch, base, tmp_path):
    target = tmp_path / "mnt" / "models"
    code, errors, _ = fetch(arguments=(f"gs://{base}/2", str(target)))
    assert code == 0, errors
    assert contents(target / "2") == contents(base / "2")
    (base / "2" / "saved_model.pb").write_bytes(b"another program")
    code, errors, _ = fetch(arguments=(f"gs://{base}/2", str(target)))
    assert code == 1
    assert "not what was published" in errors.splitlines()[-1]
    code, errors, _ = fetch(arguments=(f"gs://{base}", str(target)))
    assert (code, "its last part is not a number" in errors) == (1, True)


def test_both_versions_of_a_canary(fetch, base):
    code, errors, models = fetch(CANARY_1, CANARY_VERSION="2")
    assert code == 0, errors
    assert all(contents(models / "yt8m" / name) == contents(base / name) for name in ("1", "2"))
    assert served(models) == ([1, 2], {"stable": 1, "canary": 2})


def test_objects_that_stand_for_directories_are_no_names_that_lead_out(fetch, base):
    (base / "1" / "more-names").write_text(f"gs://{base}/1/\ngs://{base}/1/variables/\n")
    code, errors, _ = fetch()
    assert code == 1
    assert "does not list: more-names" in errors  # it came as far as that


def test_a_container_that_was_restarted_fetches_again(fetch, base):
    target = fetch()[2] / "yt8m" / "1"
    (target / "left-over").write_bytes(b"")
    assert fetch()[0] == 0
    assert contents(target) == contents(base / "1")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: (path / "saved_model.pb").write_bytes(b"another program"), "not what was published"),
        (
            lambda path: os.truncate(path / "variables" / "variables.data-00000-of-00001", 10),
            "not what was published",
        ),
        (
            lambda path: (path / "variables" / "variables.data-00000-of-00001").unlink(),
            "not what was published",
        ),
        (lambda path: (path / "variables" / "variables.index").unlink(), "has no variables/variables.index"),
        (lambda path: (path / MANIFEST).unlink(), f"has no {MANIFEST}"),
        (lambda path: (path / MANIFEST).write_bytes(b""), "not what was published"),
        (
            lambda path: (path / "assets.extra" / "more.so").write_bytes(b""),
            "does not list: assets.extra/more.so",
        ),
        (shutil.rmtree, "was not fetched"),
    ],
)
def test_no_pod_starts_with_a_version_that_is_not_what_was_published(fetch, base, damage, says):
    damage(base / "1")
    code, errors, _ = fetch()
    assert code == 1
    assert says in errors.splitlines()[-1]
    assert f"{base}/1" in errors


@pytest.mark.parametrize("name", ["../../x", "/abs", "a/../../x", "a//b", ".."])
def test_names_that_lead_out_of_the_target_are_refused_before_anything_is_written(fetch, base, name):
    (base / "1" / "more-names").write_text(f"gs://{base}/1/{name}\n")
    code, errors, models = fetch()
    assert code == 1
    assert errors.splitlines()[-1].endswith(f"has names that lead out of their directory: {name}")
    assert not (models / "yt8m").exists()


@pytest.mark.parametrize(
    ("config", "environment", "says"),
    [
        (STABLE_ONLY, {"STABLE_VERSION": ""}, "STABLE_VERSION is ''"),
        (STABLE_ONLY, {"STABLE_VERSION": "v7"}, "STABLE_VERSION is 'v7'"),
        (STABLE_ONLY, {"STABLE_VERSION": "1/e touch"}, "STABLE_VERSION is '1/e touch'"),
        (CANARY_1, {}, "CANARY_VERSION is ''"),
        (CANARY_1, {"CANARY_VERSION": "1"}, "both 1"),
        (STABLE_ONLY, {"STABLE_VERSION": "9"}, "was not fetched"),
    ],
)
def test_wrong_settings_are_named(fetch, config, environment, says):
    code, errors, _ = fetch(config, **environment)
    assert code == 1
    assert says in errors.splitlines()[-1]
