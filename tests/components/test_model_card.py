"""The model card of a version, and that it goes with it."""

import yaml

from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from components.pusher.device_file import DeviceFile
from components.pusher.files import LITERT_FILE
from components.pusher.model_card import model_card, without_front_matter
from components.pusher.push import push
from serving.export.card import MemberCard, ModelCard
from serving.export.device_weights import DeviceWeights
from serving.inference.device_export import DeviceCheck
from serving.store.manifest import check_manifest
from tests.serving.store.model_files import write_model

MEMBERS = (
    MemberCard(
        variant="K8-H64", weight=0.25, gap=0.5, first_step=100, last_step=2000, snapshots=20, bytes=2**20, tensors=()
    ),
    MemberCard(variant="K4-H64", weight=0.75, gap=None, first_step=None, last_step=None, snapshots=None, bytes=2**21,
               tensors=()),
)  # fmt: skip
METRICS = {"gap": 0.81, "hit_at_one": 0.9, "perr": 0.7, "map": 0.4, "videos": 1234}
EVALUATION = {
    "candidate": METRICS,
    "baseline": METRICS,
    "slices": [
        {"feature": "num_frames", "bin": "61-120", "candidate": {**METRICS, "gap": 0.75}, "baseline": None},
        {"feature": "num_labels", "bin": "6+", "candidate": None, "baseline": METRICS},
    ],
}
DATA = {
    "splits": {"train": {"files": 3, "videos": 1000, "frames": 230_000, "labels": 3000}},
    "rejected": {},
    "rejected_videos": 7,
    "share": 0.007,
}


def card(members=MEMBERS):
    size = sum(member.bytes for member in members)
    return ModelCard(num_classes=3862, bytes=size, gap=0.81, members=members)


def written(evaluation=None, data=None, litert=None, **changes):
    return model_card(
        changes.pop("card", card()),
        model_name="yt8m",
        data_licence="CC BY 4.0",
        evaluation=evaluation and EvaluationResults.model_validate(evaluation),
        data=data and ExampleGenReport.model_validate(data),
        **changes,
        litert=litert,
    ).splitlines()


def test_what_it_says():
    lines = written(evaluation=EVALUATION, data=DATA)
    for line in (
        "# Model card: yt8m",
        "| K8-H64 | 0.25 | 1.00 | 0.5000 | average of 20 snapshots, 100 to 2,000 |",
        "| K4-H64 | 0.75 | 2.00 | - | - |",
        "- Split `train`: 1,000 videos, 230,000 frames, 3,000 labels, from 3 files.",
        "- 7 records could not be used.",
        "- Licence of the data: CC BY 4.0.",
        "| all | 1,234 | 0.8100 | 0.9000 | 0.7000 | 0.4000 |",
        "| frames 61-120 | 1,234 | 0.7500 | 0.9000 | 0.7000 | 0.4000 |",
        "    yt8m predict FILE.tfrecord --target localhost:8500 --model-name yt8m",
    ):
        assert line in lines
    assert any(line.startswith("3,145,728 bytes (3.00 MiB)") for line in lines)
    assert [line for line in lines if line.startswith("## ")] == [
        f"## {part}"
        for part in (
            "What it is",
            "Intended use",
            "Data",
            "How good it is",
            "Size",
            "Limits",
            "How to call it",
        )
    ]
    assert "\n".join(lines).count("\n\n\n") == 0


def test_with_a_holdout_both_numbers_are_given():
    text = "\n".join(written(evaluation={**EVALUATION, "split": "holdout", "selection_gap": 0.8234}))
    assert "On the split `holdout`, on which nothing was trained and nothing was chosen" in text
    assert "members and weights were chosen, its GAP is 0.8234." in text
    assert "| all | 1,234 | 0.8100 | 0.9000 | 0.7000 | 0.4000 |" in text
    assert "expect a little less" not in text
    assert "\n\n\n" not in text
    unknown = "\n".join(written(evaluation={**EVALUATION, "split": "holdout", "selection_gap": None}))
    assert "were chosen, its GAP" not in unknown
    assert "holdout" not in "\n".join(written(evaluation=EVALUATION))


def test_what_is_not_known_is_said():
    lines = written(card=card(MEMBERS[:1]))
    assert "A video model" in lines
    assert "It was not evaluated." in lines
    assert "- How much data it was trained on is not recorded." in lines
    assert "Whether it was trained on frames or on one mean a video is not recorded." in lines
    assert any(line.startswith("- Licence of the model: not stated") for line in lines)


def test_it_knows_whether_the_model_saw_frames_or_one_mean_a_video():
    train = DATA["splits"]["train"]
    assert any(line.startswith("It was trained on frame-level records") for line in written(data=DATA))
    means = written(data={**DATA, "splits": {"train": {**train, "frames": train["videos"]}}})
    assert any(line.startswith("It was trained on video-level records") for line in means)
    assert "frame-level records:" not in "\n".join(means)


def test_the_front_matter_is_that_of_hugging_face_and_people_do_not_see_it():
    text = "\n".join(written(evaluation={**EVALUATION, "split": "holdout"}, model_licence="apache-2.0"))
    _, front, body = text.split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["license"] == "apache-2.0"
    assert front["dataset_license"] == "CC BY 4.0"
    assert front["pipeline_tag"] == "video-classification"
    assert {"youtube-8m", "ensemble"} <= {*front["tags"]}
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["split"]) == ("yt8m", "holdout")
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "gap": 0.81, "hit_at_one": 0.9, "perr": 0.7, "map": 0.4,
    }  # fmt: skip
    assert "- Licence of the model: apache-2.0." in body
    assert without_front_matter(text) == body.lstrip("\n")
    assert without_front_matter(text).startswith("# Model card: yt8m")
    assert without_front_matter("# Of an earlier version\n\n---\n") == "# Of an earlier version\n\n---\n"
    never = yaml.safe_load("\n".join(written()).split("---\n")[1])
    assert never["license"] == "unknown"
    assert "model-index" not in never


def test_it_does_not_depend_on_what_was_served_before():
    assert written(evaluation=EVALUATION) == written(evaluation={**EVALUATION, "baseline": None})


def test_the_examples_call_is_one_that_the_command_line_has(capsys):
    from typer.testing import CliRunner

    from pipeline.cli.main import app

    shown = CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).output
    assert "--target" in shown
    assert "--model-name" in shown


def test_a_file_for_devices_is_told_of_and_goes_with_the_version(tmp_path):
    check = DeviceCheck(
        runtime="LiteRT", videos=200, gap_tensorflow=0.7, gap=0.6995, same_best=0.985, largest_difference=0.03
    )
    file = DeviceFile(weights=DeviceWeights.INT4, content=b"\0" * 2**19, check=check)
    text = "\n".join(written(litert=file))
    assert (
        "`assets.extra/yt8m.tflite` of this version is the same model as a LiteRT file of\n0.50 MiB" in text
    )
    assert "weights of int4 (200 videos: GAP 0.70000 by TensorFlow, 0.69950 by LiteRT" in text
    assert "\n\n\n" not in text
    assert "LiteRT" not in "\n".join(written())
    source, base = write_model(tmp_path / "model"), str(tmp_path / "served")
    result = push(source, base, {"A": True}, text, {LITERT_FILE: file.content})
    assert result.litert == f"{base}/1/assets.extra/yt8m.tflite"
    assert (tmp_path / "served" / "1" / "assets.extra" / "yt8m.tflite").read_bytes() == file.content
    check_manifest(f"{base}/1")
    other = str(tmp_path / "other")
    push(source, other, {"A": True}, text)
    late = push(source, other, {"A": True}, text, {LITERT_FILE: file.content})
    assert (late.version, late.litert) == (1, None)
    assert late.reason.endswith(
        "as version 1, which was pushed without a LiteRT file: yt8m export writes one"
    )


def test_it_goes_with_the_version_and_is_in_its_manifest(tmp_path):
    source = write_model(tmp_path / "model")
    text = "# Model card: \N{SNOWMAN}\n"
    result = push(source, str(tmp_path / "served"), {"A": True}, text)
    pushed = tmp_path / "served" / "1"
    assert (pushed / "assets.extra" / "MODEL_CARD.md").read_text(encoding="utf-8") == text
    check_manifest(str(pushed))
    assert result.model_card == text
    assert not (tmp_path / "model" / "assets.extra" / "MODEL_CARD.md").exists()
