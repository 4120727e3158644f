"""What holds for versions in a local directory and in a bucket alike."""

import shutil
import threading
from pathlib import Path

import pytest

from serving.store import model_store
from serving.store.manifest import MANIFEST, check_manifest
from serving.store.model_store import local_version, open_store
from tests.gcs_emulator import BUCKET
from tests.serving.store.model_files import DATA, write_model
from trainer.base.errors import UserError


class Files:
    """The files at a base, behind the store's back."""

    def __init__(self, directory: Path) -> None:
        self.base = str(directory)

    def all(self) -> dict[str, bytes]:
        paths = (path for path in Path(self.base).rglob("*") if path.is_file())
        return {str(path.relative_to(self.base)): path.read_bytes() for path in paths}

    def write(self, name: str, content: bytes) -> None:
        path = Path(self.base, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to another version's
        path.write_bytes(content)

    def remove(self, name: str) -> None:
        Path(self.base, name).unlink()


class Objects:
    """The same in a bucket."""

    def __init__(self, gcs) -> None:
        self._gcs = gcs
        self.base = f"gs://{BUCKET}/models/yt8m"

    def all(self) -> dict[str, bytes]:
        return self._gcs.contents("models/yt8m/")

    def write(self, name: str, content: bytes) -> None:
        from google.cloud import storage

        storage.Client(project=None).bucket(BUCKET).blob(f"models/yt8m/{name}").upload_from_string(content)

    def remove(self, name: str) -> None:
        self._gcs.storage.delete_file(BUCKET, f"models/yt8m/{name}")


@pytest.fixture(params=["local", "gs"])
def files(request, tmp_path):
    if request.param == "local":
        return Files(tmp_path / "served")
    return Objects(request.getfixturevalue("gcs"))


@pytest.fixture
def base(files):
    return files.base


def publish(tmp_path, base, content, **kwargs):
    source = tmp_path / f"source-{content.decode()}"
    if not source.exists():
        write_model(source, content)
    return model_store.publish(str(source), base, **kwargs)


def check(base, version, target) -> None:
    """Raises unless a version is exactly what its manifest says."""
    with local_version(open_store(base), version) as directory:
        shutil.copytree(directory, target)
    (Path(target) / MANIFEST).write_bytes(model_store.read_file(base, version, MANIFEST))
    check_manifest(str(target))


def test_versions_are_the_next_integers(tmp_path, files, base):
    assert model_store.list_versions(base) == []
    assert model_store.latest_version(base) is None
    assert [publish(tmp_path, base, content).version for content in (b"a", b"b", b"c")] == [1, 2, 3]
    files.write("7/note", b"somebody's directory without a model: its number is taken all the same")
    assert publish(tmp_path, base, b"d").version == 8
    assert "7/note" in files.all()
    for name in ("-3/saved_model.pb", "x/saved_model.pb", f"{2**63}/saved_model.pb"):
        files.write(name, b"no version")
    assert model_store.list_versions(base) == [1, 2, 3, 8]
    assert model_store.latest_version(base) == 8


def test_versions_with_zeros_before_them_are_those_that_tensorflow_serving_reads(tmp_path, files, base):
    source = tmp_path / "source-a"
    publish(tmp_path, base, b"a")
    for name in _source(source):
        files.write(f"00000012/{name}", (source / name).read_bytes())
    assert model_store.list_versions(base) == [1, 12]
    assert model_store.version_path(base, 12) == model_store.saved_model_path(base) == f"{base}/00000012"
    assert model_store.read_file(base, 12, DATA) == b"a"
    store = open_store(base)
    assert store.path(12) == f"{base}/00000012"
    assert publish(tmp_path, base, b"b").version == 13
    assert model_store.label(base, {"old": 12}) == {"old": 12}
    model_store.label(base, {}, ["old"])
    if base.startswith("gs://"):  # a version without a manifest is served from a local directory only
        files.write(f"00000012/{MANIFEST}", model_store.read_file(base, 1, MANIFEST))
    with local_version(store, 12) as directory:
        assert (Path(directory) / DATA).read_bytes() == b"a"
    assert model_store.rollback(base, 12).version == 14
    assert files.all()[f"14/{DATA}"] == b"a"
    model_store.delete(base, 12)
    assert model_store.list_versions(base) == [1, 13, 14]
    assert not [name for name in files.all() if name.startswith("00000012/")]


def test_a_version_that_is_there_twice_is_refused_in_one_line(tmp_path, files, base):
    publish(tmp_path, base, b"a")
    files.write("0001/note", b"no model, and so no version")
    assert model_store.list_versions(base) == [1]
    files.write("0001/saved_model.pb", b"graph")
    before = files.all()
    for ask in (
        model_store.list_versions,
        model_store.served_version,
        lambda base: publish(tmp_path, base, b"b"),
    ):
        with pytest.raises(
            UserError, match=r"has version 1 twice, in 0001 and in 1, .*: remove or rename one"
        ):
            ask(base)
    assert files.all() == before


def test_verify_tells_whole_damaged_and_unknown_apart(tmp_path, files, base):
    for content in (b"a", b"b", b"c", b"d"):
        publish(tmp_path, base, content)
    files.write(f"2/{DATA}", b"B")
    files.remove(f"3/{MANIFEST}")
    files.remove("4/variables/variables.index")
    store = open_store(base)
    states, problems = zip(*(model_store.verify(store, version) for version in (1, 2, 3, 4)), strict=True)
    assert states == ("whole", "damaged", "no manifest", "damaged")
    assert problems[0] == ""
    assert f"{DATA} in {base}/2 is not what was published" in problems[1]
    assert f"variables/variables.index in {base}/4 is missing" in problems[3]


def test_a_version_has_the_files_and_a_manifest(tmp_path, files, base):
    published = publish(tmp_path, base, b"a")
    assert published == model_store.Publication(version=1, path=f"{base}/1", created=True)
    assert files.all().keys() == {f"1/{name}" for name in (MANIFEST, *_source(tmp_path / "source-a"))}
    assert files.all()[f"1/{DATA}"] == b"a"
    check(base, 1, tmp_path / "copy")
    assert model_store.version_path(base, 1) == published.path


def test_equal_content_is_not_published_twice_in_a_row(tmp_path, files, base):
    first = publish(tmp_path, base, b"a")
    again = publish(tmp_path, base, b"a")
    assert (first.created, again.created) == (True, False)
    assert again.version == first.version
    publish(tmp_path, base, b"b")
    assert publish(tmp_path, base, b"a").version == 3
    assert {name.partition("/")[0] for name in files.all()} == {"1", "2", "3"}


def test_extra_files_belong_to_the_version_and_not_to_what_makes_it_another(tmp_path, files, base):
    card = "assets.extra/MODEL_CARD.md"
    publish(tmp_path, base, b"a", extra_files={card: b"of today", "assets/new/x": b"x"})
    assert files.all()[f"1/{card}"] == b"of today"
    check(base, 1, tmp_path / "copy")
    same = publish(tmp_path, base, b"a", extra_files={card: b"of tomorrow", "assets/new/x": b"y"})
    assert (same.version, same.created) == (1, False)
    assert publish(tmp_path, base, b"a").created  # now without a file that was there
    # A source that has one, as a copy of a version does: the given one takes its place.
    Path(tmp_path / "source-a" / card).write_bytes(b"of yesterday")
    assert publish(tmp_path, base, b"a", extra_files={card: b"of today"}).created is False
    assert publish(tmp_path, base, b"a").version == 3
    assert publish(tmp_path, base, b"b", extra_files={card: b"of b"}).version == 4
    assert model_store.read_file(base, 4, card) == b"of b"
    assert model_store.read_file(base, 4, "none") is None


@pytest.mark.parametrize("name", ["saved_model.pb", MANIFEST, "/etc/x", "../x", "a/../../x", "a//b"])
def test_extra_files_have_names_of_their_own(tmp_path, base, name):
    with pytest.raises(ValueError, match="relative path"):
        publish(tmp_path, base, b"a", extra_files={name: b""})


@pytest.mark.parametrize(
    ("missing", "how"),
    [
        ("saved_model.pb", Path.unlink),
        ("saved_model.pb", lambda path: path.write_bytes(b"")),
        ("variables/variables.index", Path.unlink),
    ],
)
def test_half_a_model_is_refused(tmp_path, files, base, missing, how):
    source = Path(write_model(tmp_path / "source"))
    how(source / missing)
    with pytest.raises(UserError, match=missing):
        model_store.publish(str(source), base)
    assert files.all() == {}


def test_addresses_with_other_schemes_are_refused(tmp_path):
    for verb in (
        lambda: model_store.publish(write_model(tmp_path / "source"), "s3://bucket/models"),
        lambda: model_store.rollback("s3://bucket/models", 1),
        lambda: model_store.list_versions("s3://bucket/models"),
    ):
        with pytest.raises(UserError, match="s3:// is not supported"):
            verb()


def test_rollback_publishes_the_old_content_as_the_newest(tmp_path, files, base):
    card = {"assets.extra/card": b"of a"}
    publish(tmp_path, base, b"a", extra_files=card)
    publish(tmp_path, base, b"b")
    back = model_store.rollback(base, to=1)
    assert (back.version, back.created) == (3, True)
    assert _of(files, 3) == _of(files, 1)
    assert model_store.list_versions(base) == [1, 2, 3]
    model_store.delete(base, 1)  # 3 does not depend on 1
    check(base, 3, tmp_path / "copy")
    assert model_store.rollback(base, to=3) == model_store.Publication(
        version=3, path=back.path, created=False
    )


def test_rollback_to_nothing_or_to_damage_is_refused(tmp_path, files, base):
    with pytest.raises(UserError, match="no version 1"):
        model_store.rollback(base, to=1)
    publish(tmp_path, base, b"a")
    publish(tmp_path, base, b"b")
    with pytest.raises(UserError, match=r"no version 9: it has 1, 2"):
        model_store.rollback(base, to=9)
    files.write(f"1/{DATA}", b"A")
    with pytest.raises(UserError, match=r"variables.data-00000-of-00001 .* is not what was published"):
        model_store.rollback(base, to=1)
    assert model_store.list_versions(base) == [1, 2]


def _without_weights(manifest: bytes) -> bytes:
    """Makes the manifest of a version that of an export."""
    return b"".join(line for line in manifest.splitlines(True) if DATA.encode() not in line)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda files: files.remove(f"1/{DATA}"), "variables.data-00000-of-00001 .* is missing"),
        (lambda files: files.write("1/more", b""), "more .* is not in the manifest"),
        (
            lambda files: files.write("1/manifest.sha256", b"\x00\xff"),
            "manifest.sha256 .* lines that are no checksum",
        ),
        (
            lambda files: files.write(
                "1/manifest.sha256", _without_weights(files.all()["1/manifest.sha256"])
            ),
            r"variables.data-00000-of-00001 .* is not in the manifest, which is that of an export",
        ),
    ],
)
def test_the_manifest_names_what_is_wrong(tmp_path, files, base, damage, text):
    publish(tmp_path, base, b"a")
    publish(tmp_path, base, b"b")
    damage(files)
    with pytest.raises(UserError, match=text):
        model_store.rollback(base, to=1)
    with pytest.raises(UserError, match=text):
        check(base, 1, tmp_path / "copy")


def test_the_served_version_is_deleted_by_force_only_and_its_number_does_not_come_back(tmp_path, files, base):
    for content in (b"a", b"b"):
        publish(tmp_path, base, content)
    with pytest.raises(UserError, match="is the newest, which servers serve"):
        model_store.delete(base, 2)
    model_store.delete(base, 1)
    assert model_store.list_versions(base) == [2]
    model_store.delete(base, 2, force=True)
    assert model_store.list_versions(base) == []
    assert publish(tmp_path, base, b"c").version == 3
    publish(tmp_path, base, b"d")
    assert {name.partition("/")[0] for name in files.all()} == {"3", "4"}
    with pytest.raises(UserError, match="no version 2"):
        model_store.delete(base, 2)


def test_labels_point_to_versions_that_are_there(tmp_path, files, base):
    for content in (b"a", b"b"):
        publish(tmp_path, base, content)
    assert model_store.open_store(base).labels() == {}
    assert model_store.label(base, {"stable": 1, "canary": 2}) == {"stable": 1, "canary": 2}
    with pytest.raises(UserError, match="has no version 3: it has 1, 2"):
        model_store.label(base, {"canary": 1, "stable": 3})
    with pytest.raises(UserError, match="no label old to remove; labels there: canary, stable"):
        model_store.label(base, {"stable": 2}, remove=["old"])
    assert model_store.open_store(base).labels() == {"stable": 1, "canary": 2}
    with pytest.raises(UserError, match=r"version 1 of .* has the label stable"):
        model_store.delete(base, 1, force=True)
    assert model_store.label(base, {"stable": 2}, remove=["canary"]) == {"stable": 2}
    model_store.delete(base, 1)
    files.write("labels.json", b'{"stable": "two"}')
    with pytest.raises(UserError, match=r"labels.json is not what yt8m models label writes"):
        model_store.open_store(base).labels()


def test_no_label_is_lost_when_many_set_theirs_at_once(tmp_path, base):
    publish(tmp_path, base, b"a")
    names = [f"label-{number}" for number in range(6)]
    _at_once([lambda name=name: model_store.label(base, {name: 1}) for name in names])
    assert model_store.open_store(base).labels() == dict.fromkeys(names, 1)


def test_publishers_at_once_get_a_whole_version_each(tmp_path, files, base):
    sources = [write_model(tmp_path / f"s{n}", f"content {n}".encode(), files=5) for n in range(3)]
    _at_once(
        [lambda source=source: model_store.publish(source, base) for source in sources for _ in range(2)]
    )
    versions = model_store.list_versions(base)
    assert len(versions) >= len(sources)
    for version in versions:
        check(base, version, tmp_path / f"copy{version}")
    assert len({files.all()[f"{version}/saved_model.pb"] for version in versions}) == len(sources)
    model_store.publish(write_model(tmp_path / "last", b"last"), base)
    assert {int(name.partition("/")[0]) for name in files.all()} == set(model_store.list_versions(base))


def test_a_model_is_found_at_its_own_address_and_at_that_of_its_versions(tmp_path, base):
    publish(tmp_path, base, b"a")
    publish(tmp_path, base, b"b")
    assert model_store.saved_model_path(base) == f"{base}/2"
    assert model_store.saved_model_path(f"{base}/1") == f"{base}/1"
    assert model_store.saved_model_path("ram://x/model") == "ram://x/model"


def _source(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def _of(files, version: int) -> dict[str, bytes]:
    start = f"{version}/"
    return {name.removeprefix(start): text for name, text in files.all().items() if name.startswith(start)}


def _at_once(actions) -> None:
    errors = []

    def run(action):
        try:
            action()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    assert errors == []
