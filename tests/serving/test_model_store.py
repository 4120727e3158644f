import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from serving import model_store
from serving.manifest import MANIFEST, check_manifest, manifest_digest
from trainer.errors import UserError

_PUBLISH = "import sys; from serving.model_store import publish; publish(sys.argv[1], sys.argv[2])"


def write_model(directory: Path, content: bytes = b"weights", files: int = 0) -> str:
    """The files of a SavedModel, whatever is in them."""
    (directory / "variables").mkdir(parents=True)
    (directory / "assets.extra").mkdir()
    (directory / "saved_model.pb").write_bytes(b"graph of " + content)
    (directory / "variables" / "variables.index").write_bytes(b"index")
    (directory / "variables" / "variables.data-00000-of-00001").write_bytes(content)
    for number in range(files):
        (directory / "assets.extra" / f"{number}.bin").write_bytes(content + str(number).encode() * 1000)
    return str(directory)


@pytest.fixture
def base(tmp_path):
    return str(tmp_path / "served")


def publish(tmp_path, base, content):
    source = tmp_path / f"source-{content.decode()}"
    if not source.exists():
        write_model(source, content)
    return model_store.publish(str(source), base)


def test_versions_are_the_next_integers(tmp_path, base):
    assert model_store.list_versions(base) == []
    assert model_store.latest_version(base) is None
    assert [publish(tmp_path, base, content).version for content in (b"a", b"b", b"c")] == [1, 2, 3]
    os.mkdir(
        os.path.join(base, "7")
    )  # somebody's directory without a model: its number is taken all the same
    assert publish(tmp_path, base, b"d").version == 8
    assert model_store.list_versions(base) == [1, 2, 3, 8]
    assert model_store.latest_version(base) == 8


def test_a_version_has_the_files_and_a_manifest_that_sha256sum_reads(tmp_path, base):
    published = publish(tmp_path, base, b"a")
    assert Path(published.path, "variables", "variables.data-00000-of-00001").read_bytes() == b"a"
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", MANIFEST], cwd=published.path, check=True)
    check_manifest(published.path)


def test_equal_content_is_not_published_twice_in_a_row(tmp_path, base):
    first = publish(tmp_path, base, b"a")
    again = publish(tmp_path, base, b"a")
    assert (first.created, again.created) == (True, False)
    assert again.version == first.version
    publish(tmp_path, base, b"b")
    assert publish(tmp_path, base, b"a").version == 3
    assert sorted(os.listdir(base)) == ["1", "2", "3"]


@pytest.mark.parametrize("missing", ["saved_model.pb", "variables/variables.index"])
def test_half_a_model_is_refused(tmp_path, base, missing):
    source = Path(write_model(tmp_path / "source"))
    (source / missing).unlink()
    with pytest.raises(UserError, match=missing):
        model_store.publish(str(source), base)
    assert not os.path.exists(base)


@pytest.mark.parametrize("address", ["gs://bucket/models", "s3://bucket/models"])
def test_addresses_with_a_scheme_are_refused(tmp_path, address):
    source = write_model(tmp_path / "source")
    with pytest.raises(UserError, match="not supported"):
        model_store.publish(source, address)
    with pytest.raises(UserError, match="not supported"):
        model_store.rollback(address, 1)


def test_rollback_publishes_the_old_content_as_the_newest(tmp_path, base):
    for content in (b"a", b"b"):
        publish(tmp_path, base, content)
    back = model_store.rollback(base, to=1)
    assert (back.version, back.created) == (3, True)
    assert manifest_digest(back.path) == manifest_digest(os.path.join(base, "1"))
    assert model_store.list_versions(base) == [1, 2, 3]
    model_store.delete(base, 1)  # the links of 3 do not depend on 1
    check_manifest(back.path)
    assert model_store.rollback(base, to=3) == model_store.Publication(
        version=3, path=back.path, created=False
    )


def test_rollback_to_nothing_or_to_damage_is_refused(tmp_path, base):
    with pytest.raises(UserError, match="no version 1"):
        model_store.rollback(base, to=1)
    published = publish(tmp_path, base, b"a")
    publish(tmp_path, base, b"b")
    with pytest.raises(UserError, match=r"no version 9: it has 1, 2"):
        model_store.rollback(base, to=9)
    Path(published.path, "variables", "variables.data-00000-of-00001").write_bytes(b"A")
    with pytest.raises(UserError, match=r"variables.data-00000-of-00001 .* is not what was published"):
        model_store.rollback(base, to=1)
    assert model_store.list_versions(base) == [1, 2]


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: (path / "saved_model.pb").unlink(), "saved_model.pb .* is missing"),
        (lambda path: (path / "more").write_bytes(b""), "more .* is not in the manifest"),
        (lambda path: (path / MANIFEST).unlink(), "has no manifest.sha256"),
    ],
)
def test_the_manifest_names_what_is_wrong(tmp_path, base, damage, text):
    published = publish(tmp_path, base, b"a")
    damage(Path(published.path))
    with pytest.raises(UserError, match=text):
        check_manifest(published.path)


def test_the_served_version_is_deleted_by_force_only_and_its_number_does_not_come_back(tmp_path, base):
    for content in (b"a", b"b"):
        publish(tmp_path, base, content)
    with pytest.raises(UserError, match="being served"):
        model_store.delete(base, 2)
    model_store.delete(base, 1)
    assert model_store.list_versions(base) == [2]
    model_store.delete(base, 2, force=True)
    assert model_store.list_versions(base) == []
    assert publish(tmp_path, base, b"c").version == 3
    assert os.listdir(base) == ["3"]
    with pytest.raises(UserError, match="no version 2"):
        model_store.delete(base, 2)


def test_publishers_at_once_get_a_whole_version_each(tmp_path, base):
    sources = [write_model(tmp_path / f"s{n}", f"content {n}".encode(), files=20) for n in range(4)]
    errors = []

    def run(source):
        try:
            model_store.publish(source, base)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(source,)) for source in sources for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    versions = model_store.list_versions(base)
    assert versions == list(range(1, len(versions) + 1))
    assert sorted(os.listdir(base)) == sorted(map(str, versions))  # nothing staged is left
    graphs = set()
    for version in versions:
        check_manifest(os.path.join(base, str(version)))
        graphs.add(Path(base, str(version), "saved_model.pb").read_bytes())
    assert len(graphs) == len(sources)


def test_two_publishing_processes_leave_each_others_work_alone(tmp_path, base):
    sources = [write_model(tmp_path / f"s{n}", f"content {n}".encode(), files=200) for n in range(2)]
    publishers = [
        subprocess.Popen([sys.executable, "-c", _PUBLISH, source, base])
        for source in sources
        for _ in range(2)
    ]
    assert [publisher.wait() for publisher in publishers] == [0] * 4
    assert set(os.listdir(base)) == {str(version) for version in model_store.list_versions(base)}
    for version in model_store.list_versions(base):
        check_manifest(os.path.join(base, str(version)))


def test_a_publisher_killed_at_any_moment_leaves_no_part_of_a_version(tmp_path, base):
    source = write_model(tmp_path / "source", b"first", files=150)
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", _PUBLISH, source, base], check=True)
    whole_run = time.monotonic() - started
    generator = random.Random(7)
    killed = 0
    for attempt in range(24):
        source = write_model(tmp_path / f"source{attempt}", str(attempt).encode(), files=150)
        publisher = subprocess.Popen([sys.executable, "-c", _PUBLISH, source, base])
        # Most of the run is the start of Python: half of the kills wait for the staging directory first.
        if attempt % 2:
            while publisher.poll() is None and not any(name.startswith(".tmp-") for name in os.listdir(base)):
                pass
            delay = generator.uniform(0, whole_run / 2)
        else:
            delay = generator.uniform(0, whole_run)
        try:
            publisher.wait(delay)
        except subprocess.TimeoutExpired:
            publisher.send_signal(signal.SIGKILL)
            killed += 1
        publisher.wait()
        for version in [name for name in os.listdir(base) if name.isdigit()]:
            check_manifest(os.path.join(base, version))
    assert killed >= 5
    last = model_store.publish(write_model(tmp_path / "last", b"last"), base)
    assert last.version == model_store.latest_version(base)
    assert not [name for name in os.listdir(base) if not name.isdigit()]
