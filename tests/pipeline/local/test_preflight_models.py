"""What is refused before a run of the models that it names, and of the one that is served."""

import shutil
from pathlib import Path

import pytest

from pipeline.local.preflight import check_before_run
from tests.pipeline.refusal import refusal
from tests.pipeline.tiny_recipe import tiny_recipe
from trainer.model.model_spec import ModelSpec


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["variables.index", "variables.data-00000-of-00001"])
@pytest.mark.parametrize("key", ["teacher.directory", "training.start"])
def test_a_named_model_without_its_weights_is_refused(recipe, tmp_path, key, lost):
    models = tmp_path / "models"
    _write_model(models / "4")
    sections = _naming(recipe, key, models)
    check_before_run(recipe(**sections), str(tmp_path / "run"))
    (models / "4/manifest.sha256").unlink(missing_ok=True)
    (models / "4/variables" / lost).unlink()
    text = refusal(recipe(**sections), tmp_path / "run")
    assert f"{models}/4" in text
    assert lost in text


@pytest.mark.slow
@pytest.mark.parametrize("key", ["teacher.directory", "training.start"])
def test_a_named_model_of_another_kind_is_refused(recipe, tmp_path, key):
    from tests.serving.tiny_model import write_tiny_model

    _write_model(tmp_path / "other/4", num_classes=21)
    assert refusal(recipe(**_naming(recipe, key, tmp_path / "other")), tmp_path / "run") == (
        f"{tmp_path}/other/4 has 21 classes, and data.num_classes is 20: give a model of the same classes, or set "
        "data.num_classes"
    )
    write_tiny_model(str(tmp_path / "foreign/1"))
    text = refusal(recipe(**_naming(recipe, key, tmp_path / "foreign")), tmp_path / "run")
    assert text.startswith(f"{tmp_path}/foreign/1 is not a model of this project")


def _write_model(directory: Path, num_classes: int = 20) -> None:
    from serving.export.saved_model import Member, write_saved_model
    from trainer.model.weights import initial_weights

    spec = ModelSpec.parse("K2-H4", num_classes)
    write_saved_model(str(directory), [Member(spec=spec, weights=initial_weights(spec, 0))])


def _naming(recipe, key: str, directory: Path) -> dict[str, object]:
    """Returns the sections of a recipe of 20 classes that names a model."""
    # The labels of the sample, which are of more classes, are not what is looked at.
    data = {"data": {**recipe().data.model_dump(by_alias=True), "num_classes": 20, "max_reject_share": 1}}
    if key == "teacher.directory":
        return {**data, "teacher": {"directory": str(directory)}, "students": ["K2-H4"]}
    return {**data, "training": {**tiny_recipe(Path("x"), "y")["training"], "start": str(directory)}}


@pytest.mark.slow
def test_a_teacher_of_fewer_classes_than_the_labels_is_refused(recipe, tmp_path):
    _write_model(tmp_path / "teacher/4")
    sections = _naming(recipe, "teacher.directory", tmp_path / "teacher")
    sections["data"]["max_reject_share"] = 0.01
    assert "videos have a label that is none of the teacher's classes, 20" in refusal(
        recipe(**sections), tmp_path / "run"
    )


@pytest.mark.slow
def test_a_served_version_without_variables_is_refused(recipe, tmp_path):
    _write_model(tmp_path / "served/4", num_classes=3862)
    check_before_run(recipe(), str(tmp_path / "run"))
    data = recipe().data.model_dump(by_alias=True) | {"num_classes": 4716}
    assert refusal(recipe(data=data), tmp_path / "run").startswith(
        f"version 4 of {tmp_path}/served is served, and a new model cannot be compared with it: it has 3862 classes, "
        "and data.num_classes is 4716 (set that one to the same). Serve an earlier version again (yt8m models rollback "
    )
    shutil.rmtree(tmp_path / "served/4/variables")
    text = refusal(recipe(), tmp_path / "run")
    assert text.startswith(
        f"version 4 of {tmp_path}/served is served, and a new model cannot be compared with it: it has no "
    )
    assert "yt8m models rollback" in text


def test_a_bucket_is_asked_whether_it_takes_a_version(recipe, tmp_path, gcs):
    check_before_run(recipe("gs://bucket/models/yt8m"), str(tmp_path / "run"))
    assert gcs.contents("") == {}
    assert "there is no bucket other" in refusal(recipe("gs://other/models"), tmp_path / "run")
