"""The run's report and its tables from fixture reports, whole and with parts missing."""

import json
import math
from pathlib import Path

import pytest

from components.report_file import read_document
from components.run_report.comparison.comparison import compare
from components.run_report.document import RunDocument
from components.run_report.figures.ensembles import ensembles
from components.run_report.figures.size_gap import size_gap
from components.run_report.metrics import scalar_metrics
from components.run_report.page import render_page
from components.run_report.summary import tiles
from components.run_report.tables import conclusions, ensembles_table, markdown, members_table, render
from tests.components.report_samples import brief_averaging, run_document, stored, with_parts
from trainer.base.units import MIB


def member(variant, mib, gap, better=None, **form):
    return {"variant": variant, "bytes": int(mib * MIB), "gap": gap, "inferior_to": better, **form}


@pytest.fixture
def report():
    metrics = {"gap": 0.8821, "hit_at_one": 0.9, "perr": 0.81, "map": 0.5, "videos": 17}
    counts = {"files": 1, "frames": 0, "labels": 0}
    return run_document(
        data={
            "splits": {"train": {"videos": 100, **counts}, "eval": {"videos": 17, **counts}},
            "rejected": {"checksum": 2},
            "rejected_videos": 2,
            "share": 2 / 119,
        },
        averaging={
            "K16-H512": brief_averaging("K16-H512", 0.8641, None),
            "K24-H1440": brief_averaging("K24-H1440", 0.8682, 0.8744),
            "K32-H256": brief_averaging("K32-H256", 0.8593, 0.8616),
        },
        compression={
            "K16-H512": stored("K16-H512", 263.125, 134.75),
            "K24-H1440": stored("K24-H1440", 714.9375, 381.375),
            "K32-H256": stored("K32-H256", 175.75, 88.875),
        },
        ensemble={
            "videos": 17,
            "limit_bytes": 2**30,
            "combinations_fitting": 3,
            "members": [
                member("K16-H512", 134.75, 0.8641, "K32-H256"),
                member("K24-H1440", 381.375, 0.8744),
                member("K32-H256", 88.875, 0.8616),
            ],
            "ensembles": [
                {
                    "members": ["K24-H1440", "K32-H256"],
                    "weights": [0.7, 0.3],
                    "bytes": int(470.25 * MIB),
                    "gap": 0.88,
                }
            ],
        },
        evaluation={
            "candidate": metrics,
            "baseline": {**metrics, "gap": 0.87},
            "slices": [{"feature": "num_labels", "bin": "4-5", "candidate": metrics, "baseline": None}],
        },
        blessing={"blessed": True, "reasons": ["GAP 0.88 is at least the floor of 0.1"], "checks": []},
        infra_blessing={"blessed": False, "reasons": ["the server answers differently"], "checks": []},
        push={"pushed": False, "version": None, "destination": None, "reason": "not blessed by the server"},
    )


def test_members_by_decreasing_size(report):
    assert [row.variant for row in report.members] == ["K24-H1440", "K16-H512", "K32-H256"]
    assert report.members[0].document() == {
        "variant": "K24-H1440",
        "form": "float16",
        "float32_mib": 714.9375,
        "stored_mib": 381.375,
        "rate": pytest.approx(0.46656, abs=1e-5),
        "average_gap": 0.8744,
        "single_gap": 0.8682,
        "gap": 0.8744,
        "inferior_to": None,
    }


def test_members_and_ensembles_name_their_forms():
    def form(name, mib, gap):
        return {"form": name, "bytes": int(mib * MIB), "rate": 1 - mib / 150, "gap": gap, "tensors": []}

    ladder = {"variant": "K8-H256", "float32_bytes": 150 * MIB, "gap_float32": 0.7}
    ladder |= {"videos": 17, "calibration_videos": 0}
    ladder["forms"] = [form("float16", 75.0, 0.7), form("int8", 39.0, 0.7), form("int4-b128", 21.0, 0.69)]
    report = run_document(
        compression={"K8-H256": ladder},
        ensemble={
            "videos": 17,
            "limit_bytes": 30 * MIB,
            "combinations_fitting": 1,
            "members": [
                member("K8-H256", mib, gap, better and "K8-H256", form=name, inferior_to_form=better)
                for name, mib, gap, better in (
                    ("float16", 75.0, 0.7, "int8"),
                    ("int8", 39.0, 0.7, None),
                    ("int4-b128", 21.0, 0.69, None),
                )
            ],
            "ensembles": [
                {
                    "members": ["K8-H256"],
                    "forms": ["int4-b128"],
                    "weights": [1.0],
                    "bytes": 21 * MIB,
                    "gap": 0.69,
                }
            ],
        },
    )
    assert [(row.form, row.stored_mib, row.gap) for row in report.members] == [
        ("float16", 75.0, 0.7),
        ("int8", 39.0, 0.7),
        ("int4-b128", 21.0, 0.69),
    ]
    assert report.members[0].inferior_to == "K8-H256 int8"
    assert [table.rows[0][0] for table in (members_table(report), ensembles_table(report))] == [
        "K8-H256",
        "K8-H256 int4-b128",
    ]
    assert "K8-H256 int4-b128" in ensembles(report)
    assert "K8-H256 int8" in size_gap(report)
    assert scalar_metrics(report)["mib_K8-H256"] == 75.0


def test_markdown_tables(report):
    lines = markdown(report).splitlines()
    header = (
        "| member | float32 MiB | stored MiB | rate | best averaged GAP | best single GAP | inferior to |"
    )
    at = lines.index(header)
    assert lines[at + 1] == "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    assert lines[at + 2] == "| K24-H1440 | 714.94 | 381.38 | 46.7% | 0.8744 | 0.8682 |  |"
    assert lines[at + 3] == "| K16-H512 | 263.12 | 134.75 | 48.8% | - | 0.8641 | K32-H256 |"
    assert "| K24-H1440 + K32-H256 | 0.7, 0.3 | 470.25 | 0.8800 |" in lines
    assert "| served before | 17 | 0.8700 | 0.9000 | 0.8100 | 0.5000 |" in lines
    assert "| labels 4-5 | 17 | 0.8821 | 0.9000 | 0.8100 | 0.5000 |" in lines


def test_conclusions(report):
    assert conclusions(report) == [
        "Data: 100 videos to train, 17 videos to eval; rejected: 2 checksum",
        "Evaluator: blessed: GAP 0.88 is at least the floor of 0.1",
        "ModelServerValidator: NOT blessed: the server answers differently",
        "Push: not blessed by the server",
    ]


def test_the_holdouts_gap_stands_beside_the_one_that_chose(report):
    judged = {**report.evaluation.document(), "split": "holdout", "selection_gap": 0.8911}
    held = with_parts(report, evaluation=judged)
    lines = conclusions(held)
    assert lines[1] == (
        "Evaluation: GAP 0.8821 on the holdout, on which nothing was trained or chosen; 0.8911 on the eval split, on "
        "which averages, members and weights were chosen"
    )
    assert "## Evaluation on the holdout" in markdown(held)
    assert scalar_metrics(held)["selection_gap"] == 0.8911
    (tile, *_) = tiles(held)
    assert (tile.label, tile.value) == ("Holdout GAP", "0.8821")
    assert tile.note == "0.8911 on the eval split, by which it was chosen; +0.0121 against the served model"


def test_what_was_left_out_of_the_data_is_told(report):
    data = report.data.document() | {
        "unlabelled_videos": 1234,
        "left_out_files": ["test0", "test1"],
        "losses": [{"file": "a", "reason": "empty_file", "detail": "", "videos": 290, "whole": True}],
        "copies": {"b": "c"},
    }
    told = (
        "1,234 videos without labels left out (no_labels)",
        "2 files named test* left out",
        "a is lost (empty_file), with about 290 videos",
        "b is a copy of c",
    )
    assert conclusions(with_parts(report, data=data))[0].endswith(
        "; rejected: 2 checksum; " + "; ".join(told)
    )


def test_terminal_tables_are_aligned_and_complete(report):
    text = render(report, width=120)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    members = [line for line in lines if line.lstrip().startswith(("K24-H1440 ", "K16-H512 ", "K32-H256 "))]
    columns = {
        line.index(f"{value:.2f}") + len(f"{value:.2f}")
        for line, value in zip(members, (714.94, 263.12, 175.75), strict=False)
    }
    assert len(columns) == 1, "the sizes end in one column"
    assert "K24-H1440 + K32-H256" in text
    assert lines[-1] == "Push: not blessed by the server"


def test_report_is_plain_json(report):
    written = json.loads(json.dumps(report.document(), allow_nan=False))
    assert run_document(**written) == report
    assert {"members", "ensembles"} <= written.keys(), "for whoever reads the file without this project"


def test_a_report_of_version_0_1_0_is_shown_and_compared(report):
    old = read_document(str(Path(__file__).with_name("run_report_0_1_0.json")), RunDocument)
    assert [(row.name, row.stored_mib, row.gap) for row in old.members] == [
        ("K4-H4", 9, 0.55),
        ("K2-H4", 5, 0.52),
    ]
    assert old.ensembles[0].names == ["K2-H4", "K4-H4"]
    assert "| K4-H4 | 17.75 | 9.00 | 49.3% | 0.5500 | 0.5300 |  |" in markdown(old)
    assert "Pushed as version 1" in render_page(old)
    assert [run.gap for run in compare({"old": old, "new": report}).runs] == [0.57, 0.8821]


def test_a_run_that_measured_nan_has_a_report(report, tmp_path):
    evaluation = report.evaluation.document()
    evaluation["candidate"]["gap"] = math.nan
    broken = with_parts(report, evaluation=evaluation)
    broken.write(str(tmp_path))
    assert math.isnan(RunDocument.read(str(tmp_path)).evaluation.candidate.gap)
    assert "gap" not in scalar_metrics(broken)


def test_everything_may_be_missing():
    empty = run_document()
    assert (empty.members, empty.ensembles) == ((), ())
    assert markdown(empty).startswith("# Run report")
    assert render(empty) == ""
    only = run_document(averaging={"K8-H256": brief_averaging("K8-H256", 0.5, 0.6)})
    assert "| K8-H256 | - | - | - | 0.6000 | 0.5000 |  |" in markdown(only)


def half_time():
    rows = [
        ("K16-H512", 134.75, 0.61, "K32-H256"),
        ("K24-H1440", 381.375, 0.7, None),
        ("K32-H256", 88.875, 0.62, None),
    ]
    return {
        "lead": 0.001,
        "variants": [
            {"variant": name, "step": 1000, "bytes": int(mib * MIB), "gap": gap, "videos": 17, "stopped_for": other}
            for name, mib, gap, other in rows
        ],
    }  # fmt: skip


def test_what_students_were_taught_by_is_told(report):
    taught = {
        "models": ["K8-H64 + K4-H64"], "videos": 1000, "classes": 9100, "bytes": 2**20, "examples_bytes": 2**27,
        "files": 4, "resumed_files": 0, "seconds": 3.0,
    }  # fmt: skip
    told = conclusions(with_parts(report, teacher=taught))
    assert (
        "Teacher: K8-H64 + K4-H64 scored 1,000 videos, 9.1 classes each, 1.00 MiB, 0.78% of the train split's bytes"
        in told
    )


def test_variants_that_were_stopped_at_half_time_are_named(report):
    assert "Half time" not in markdown(report)
    told = with_parts(report, half_time=half_time())
    assert "Half time: stopped K16-H512 (for K32-H256) of 3 variants" in conclusions(told)
    lines = markdown(told).split("## Half time\n\n")[1].splitlines()[:5]
    assert lines[0] == "| variant | step | stored MiB | GAP | stopped for |"
    assert lines[2:] == [
        "| K24-H1440 | 1,000 | 381.38 | 0.7000 |  |",
        "| K16-H512 | 1,000 | 134.75 | 0.6100 | K32-H256 |",
        "| K32-H256 | 1,000 | 88.88 | 0.6200 |  |",
    ]
    nobody = {**half_time(), "variants": [{**row, "stopped_for": None} for row in half_time()["variants"]]}
    assert "Half time: stopped none of 3 variants" in conclusions(with_parts(report, half_time=nobody))
