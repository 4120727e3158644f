"""Soft targets: what is written is read again, by id, and nothing of another teacher is taken."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.base.errors import UserError
from trainer.data.soft_targets import (
    SoftTargets,
    SoftTargetWriter,
    TeacherManifest,
    count_entries,
    part_path,
    softened,
)

CLASSES = 50
THRESHOLD = 0.01
HALF_STEP = 0.5 / 65_535 + 1e-7


def write(directory, parts: list[dict[bytes, np.ndarray]], max_classes: int = 4) -> TeacherManifest:
    manifest = TeacherManifest(
        models=("a",), num_classes=CLASSES, threshold=THRESHOLD, max_classes=max_classes,
        files=tuple((f"f{index}", 10) for index in range(len(parts))),
    )  # fmt: skip
    manifest.write(str(directory))
    for index, part in enumerate(parts):
        with SoftTargetWriter(part_path(str(directory), index), THRESHOLD, max_classes) as writer:
            for video, scores in part.items():
                writer.add([video], scores[np.newaxis])
    return manifest


def expected(scores: np.ndarray, max_classes: int = 4) -> np.ndarray:
    kept = np.argsort(-scores, kind="stable")[:max_classes]
    result = np.zeros(CLASSES, np.float32)
    result[kept] = np.where(scores[kept] >= THRESHOLD, scores[kept], 0)
    return result


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0, 1, 3]),
)
def test_the_best_classes_come_back_by_id(tmp_path_factory, seed, videos, weight, digits):
    generator = np.random.default_rng(seed)
    scores = (generator.random((videos, CLASSES), np.float32) ** 8).round(digits or 7)  # with equal ones
    ids = [b"v%d" % index for index in range(videos)]
    cut = videos // 2
    directory = tmp_path_factory.mktemp("soft")
    each = dict(zip(ids, scores, strict=True))
    write(directory, [{i: each[i] for i in ids[:cut]}, {i: each[i] for i in ids[cut:]}])
    found = SoftTargets(str(directory))
    assert len(found) == videos
    order = generator.permutation(videos)
    wanted = [ids[place] for place in order] + [b"unknown"]
    labels = (generator.random((videos + 1, CLASSES)) < 0.1).astype(np.float32)
    targets = labels.copy()
    assert found.blend(wanted, targets, weight, 1.0) == videos
    for row, place in enumerate(order):
        blend = weight * expected(scores[place]) + (1 - weight) * labels[row]
        np.testing.assert_allclose(targets[row], blend, atol=HALF_STEP)
    np.testing.assert_array_equal(targets[-1], labels[-1])


def test_a_video_takes_a_thousandth_of_its_frames(tmp_path):
    generator = np.random.default_rng(0)
    # Every video with as many classes as are kept: the most that there can be.
    scores = generator.random((500, CLASSES), np.float32)
    with SoftTargetWriter(str(tmp_path / "part"), 0.0, 32) as writer:
        writer.add([b"id-%04d" % index for index in range(500)], scores)
    assert count_entries(str(tmp_path / "part")) == (500, 500 * 32)
    assert os.path.getsize(tmp_path / "part") / 500 < 0.001 * 230 * 1152


def test_softened():
    p = np.float32([0, 0.1, 0.5, 0.9, 1])
    logit = np.log(p[1:4] / (1 - p[1:4]))
    for temperature in (0.5, 2.0, 5.0):
        found = softened(p, temperature)
        np.testing.assert_allclose(found[1:4], 1 / (1 + np.exp(-logit / temperature)), rtol=1e-5)
        assert found[[0, 4]].tolist() == [0, 1]
    assert softened(p, 1.0) is p


def test_the_fingerprint_is_that_of_what_they_were_made_of(tmp_path):
    manifest = write(tmp_path, [{b"a": np.ones(CLASSES, np.float32)}])
    assert TeacherManifest.read(str(tmp_path)) == manifest
    for other in (
        replace(manifest, models=("b",)),
        replace(manifest, models=("a", "a")),
        replace(manifest, threshold=0.02),
        replace(manifest, files=(("f0", 11),)),
    ):
        assert other.fingerprint != manifest.fingerprint


def test_what_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no soft targets, there is no teacher\.json"):
        SoftTargets(str(tmp_path))
    parts = [{b"a": np.ones(CLASSES, np.float32)}, {b"b": np.ones(CLASSES, np.float32)}]
    write(tmp_path, parts)
    path = part_path(str(tmp_path), 1)
    os.truncate(path, os.path.getsize(path) - 3)
    with pytest.raises(UserError, match=f"{path} cannot be read as soft targets"):
        SoftTargets(str(tmp_path))
    os.remove(path)
    with pytest.raises(UserError, match=f"{path}, the soft targets of f1, is missing"):
        SoftTargets(str(tmp_path))
    (tmp_path / "teacher.json").write_text("{")
    assert TeacherManifest.read(str(tmp_path)) is None
    write(tmp_path, [{}])
    with pytest.raises(UserError, match="of no video"):
        SoftTargets(str(tmp_path))
