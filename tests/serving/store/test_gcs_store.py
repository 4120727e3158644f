"""What is particular to versions in a bucket: claims, checksums, lost answers, and errors in one line."""

import base64
import threading
import time
from http import HTTPStatus
from urllib.parse import urlsplit

import google_crc32c
import pytest
from google.cloud.storage.retry import DEFAULT_RETRY

from serving.store import model_store
from serving.store.gcs_claim import PREFIX, Claim
from serving.store.gcs_objects import GcsObjects
from serving.store.gcs_store import GcsStore
from tests.gcs_emulator import BUCKET
from tests.serving.publishers import check_versions
from tests.serving.store.model_files import DATA, write_model
from trainer.base.errors import UserError

BASE = f"gs://{BUCKET}/models/yt8m"


@pytest.fixture
def source(tmp_path):
    return write_model(tmp_path / "source", b"a")


@pytest.fixture
def other(tmp_path):
    return write_model(tmp_path / "other", b"b")


def names(gcs) -> set[str]:
    return {name.partition("/")[0] for name in gcs.contents("models/yt8m/")}


def test_the_graph_is_written_last_and_no_object_stands_for_a_directory(gcs, source):
    written = []
    gcs.after_change = lambda: written.extend(set(gcs.contents("models/yt8m/")) - set(written))
    model_store.publish(source, BASE)
    assert written[0] == f"{PREFIX}1"
    assert written[-2:] == ["1/manifest.sha256", "1/saved_model.pb"]
    assert not any(name.endswith("/") for name in written)


def test_only_objects_are_asked_for(gcs, source):
    paths = []
    gcs.before = lambda method, path: paths.append(path)
    model_store.publish(source, BASE)
    GcsObjects(BASE).find("nothing")
    time.sleep(0.3)  # for what the library does in the background
    asked = {urlsplit(path).path.removeprefix("/upload").removeprefix("/storage/v1") for path in paths}
    assert asked
    assert f"/b/{BUCKET}" not in asked


def test_a_bucket_may_hold_versions_at_its_root_and_markers_of_directories(gcs, source, tmp_path):
    assert model_store.publish(source, f"gs://{BUCKET}").path == f"gs://{BUCKET}/1"
    objects = GcsObjects(f"gs://{BUCKET}")
    objects.put("1/variables/", b"")
    objects.put("2/", b"")
    assert model_store.list_versions(f"gs://{BUCKET}/") == [1]
    GcsStore(f"gs://{BUCKET}").copy(1, str(tmp_path / "copy"))
    model_store.rollback(f"gs://{BUCKET}", 1)


def test_a_large_file_goes_in_parts_and_is_checked(gcs, tmp_path):
    content = bytes(range(256)) * 40_000  # beyond what one request takes
    model_store.publish(write_model(tmp_path / "large", content), BASE)
    check_versions(gcs.contents())
    blob = GcsObjects(BASE).find(f"1/{DATA}")
    checksum = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()
    assert (blob.size, blob.crc32c) == (len(content), checksum)
    assert blob.metadata.keys() == {"sha256"}


@pytest.mark.parametrize("damaged", [DATA, ".claim-1", "manifest.sha256"])
def test_what_is_damaged_on_its_way_is_not_published(gcs, source, monkeypatch, damaged):
    put = GcsObjects.put

    def damaging(self, name, content, *args, **kwargs):
        return put(self, name, b"b" if name.endswith(damaged) and content else content, *args, **kwargs)

    monkeypatch.setattr(GcsObjects, "put", damaging)
    with pytest.raises(RuntimeError, match="is not what was sent"):
        model_store.publish(source, BASE)
    assert model_store.list_versions(BASE) == []
    assert names(gcs) == {f"{PREFIX}1"}  # a tombstone: the number is not used again
    monkeypatch.undo()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.host)
    assert model_store.publish(source, BASE).version == 2
    assert names(gcs) == {"2"}


def test_an_answer_that_is_lost_does_no_harm(gcs, source, other, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    gcs.after_change = lambda: check_versions(gcs.contents())
    lost, count = 0, 0

    def loses(method, path):
        nonlocal count
        count += 1
        return count == lost

    gcs.loses = loses
    while count >= lost:  # until there are no more answers than that
        lost, count = lost + 1, 0
        assert model_store.publish((source, other)[lost % 2], BASE).version == lost
    assert lost > 10
    assert names(gcs) == set(map(str, range(1, lost + 1)))


def test_a_live_publisher_is_left_alone_and_a_dead_one_is_cleaned_up(gcs, source, other):
    objects = GcsObjects(BASE)
    claim = Claim.take(objects, 1, b"graph of a live one")
    objects.put(f"1/{DATA}", b"a")
    assert Claim.take(objects, 1, b"graph of another") is None
    assert model_store.publish(source, BASE).version == 2
    assert objects.find(f"1/{DATA}") is not None
    assert claim.held()
    gcs.age(301)  # nothing was heard of it for five minutes
    assert model_store.publish(other, BASE).version == 3
    assert names(gcs) == {"2", "3"}
    # It was only asleep, and goes on where it was: what it writes is no version, and goes with the next publish.
    objects.put(f"1/{DATA}", b"a", metadata={"sha256": "of a"})
    assert not claim.held()
    assert not claim.commit({})
    assert model_store.list_versions(BASE) == [2, 3]
    gcs.age(301)
    assert model_store.publish(source, BASE).version == 4
    assert names(gcs) == {"2", "3", "4"}


def test_a_publisher_that_was_taken_for_dead_starts_again(gcs, source, other):
    fenced = []

    def meanwhile(method, path):
        if method == "POST" and "rewriteTo" in path and not fenced:
            fenced.append(path)
            gcs.age(301)
            model_store.publish(other, BASE)

    gcs.before = meanwhile
    assert model_store.publish(source, BASE).version == 3
    assert names(gcs) == {"2", "3"}
    check_versions(gcs.contents())


def test_a_slow_publisher_shows_that_it_is_alive(gcs, source):
    beats = threading.Event()

    def before(method, path):
        if method == "PATCH" and path.count("claim-1"):
            beats.set()
        if "rewriteTo" in path:
            assert beats.wait(60)

    gcs.before = before
    assert GcsStore(BASE, lease_seconds=1.0).add(source, {}).version == 1
    assert names(gcs) == {"1"}


def test_versions_that_were_put_there_by_other_means(gcs, source, tmp_path):
    model_store.publish(source, BASE)
    for name, content in gcs.contents("models/yt8m/1/").items():
        GcsObjects(BASE).put(f"2/{name}", content)  # as gcloud storage rsync does
        if name != "manifest.sha256":
            GcsObjects(BASE).put(f"3/{name}", content)
    assert model_store.publish(source, BASE).created  # as 3 has no manifest
    assert model_store.rollback(BASE, 2).version == 4  # has the manifest, and the very content
    with pytest.raises(UserError, match=r"3 has no manifest.sha256, so that nobody can tell"):
        model_store.rollback(BASE, 3)
    with pytest.raises(UserError, match=r"3 has no manifest.sha256, so that nobody can tell"):
        GcsStore(BASE).copy(3, str(tmp_path / "copy"))


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("gs://", "is no address: a bucket's name has lower-case letters"),
        ("gs://Not A Bucket/x", "is no address: a bucket's name has lower-case letters"),
        ("gs://bucket//x", "is no address: two slashes stand together"),
        ("gs://nowhere/models", "there is no bucket nowhere: create it or correct the address"),
    ],
)
def test_wrong_addresses_are_named(gcs, source, address, text):
    for verb in (lambda: model_store.publish(source, address), lambda: model_store.list_versions(address)):
        with pytest.raises(UserError, match=text):
            verb()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (HTTPStatus.FORBIDDEN, "may not be read and written: .* storage.objectUser"),
        (HTTPStatus.UNAUTHORIZED, "needs a Google account"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "cannot be reached; try again later"),
    ],
)
def test_what_the_server_refuses_is_one_line(gcs, source, monkeypatch, status, text):
    monkeypatch.setattr(DEFAULT_RETRY, "_timeout", 0.1)
    gcs.before = lambda method, path: status
    with pytest.raises(UserError, match=text) as caught:
        model_store.publish(source, BASE)
    assert str(caught.value).startswith(BASE)
    assert "\n" not in str(caught.value)


def test_an_account_is_needed(source, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/none")
    with pytest.raises(UserError, match="needs a Google account: gcloud auth application-default login"):
        model_store.publish(source, BASE)


@pytest.mark.parametrize("name", ["../../evil", "/evil"])
def test_an_object_whose_name_leads_out_of_the_target_is_refused_before_anything_is_written(
    gcs, source, tmp_path, monkeypatch, name
):
    model_store.publish(source, BASE)
    store, blobs = GcsStore(BASE), GcsObjects.list
    # The emulator's own file system cannot hold such an object; the service can.
    monkeypatch.setattr(
        GcsObjects,
        "list",
        lambda *where: {f"1/{name}": None, **blobs(*where)} if where[1:] else blobs(*where),
    )
    target = tmp_path / "a" / "b"
    target.mkdir(parents=True)
    with pytest.raises(UserError, match=f"the name '{name}' leads out of its directory; nothing was written"):
        store.copy(1, str(target))
    assert [*target.iterdir()] == []
