"""`yt8m report` on metadata stores of runs that ended well, failed, or stopped, and on reports from elsewhere."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.run_report.document import RunDocument
from components.run_report.summary import headline
from pipeline.cli.main import app
from pipeline.cli.training.report import write_report_of
from pipeline.local.report import find_run, local_report
from pipeline.local.run_record import record_error, write_record
from pipeline.local.runs import list_runs
from tests.components import report_samples
from tests.components.report_samples import averaging, facts, run_document
from tests.components.test_report_sources import log
from tests.pipeline.metadata_stores import CACHED, COMPLETE, FAILED, RUNNING, write_run
from trainer.base.errors import UserError

GRAPH = {
    "YouTube8MExampleGen": [],
    "Trainer-K2-H4": ["YouTube8MExampleGen"],
    "CheckpointAverager-K2-H4": ["Trainer-K2-H4"],
    "Trainer-K4-H4": ["YouTube8MExampleGen"],
    "RunReport": ["CheckpointAverager-K2-H4", "Trainer-K4-H4"],
}
FIRST, SECOND = "2026-01-02T03:04:05.000001", "2026-01-02T04:00:00.000002"


def write_json(path: Path, content: dict) -> str:
    path.mkdir(parents=True)
    (path / "report.json").write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def base(tmp_path):
    """Two runs: one that ended, and a later one that failed in its second Trainer."""
    base = tmp_path / "runs" / "tiny"
    (base / "logs").mkdir(parents=True)
    data = {"splits": {"train": {"files": 1, "videos": 9, "frames": 90, "labels": 27}}}
    data |= {"rejected": {}, "rejected_videos": 0, "share": 0.0, "span": 0}
    examples = {"report": write_json(base / "data", data)}
    averaged = {"report": write_json(base / "averaged", averaging("K2-H4", 0.5, 0.4))}
    log(base / "trained", range(1, 4))
    trained = {"model_run": str(base / "trained")}
    done = {"YouTube8MExampleGen": (COMPLETE, examples), "Trainer-K2-H4": (COMPLETE, trained)}
    done["CheckpointAverager-K2-H4"] = (COMPLETE, averaged)
    write_run(base, FIRST, {**done, "Trainer-K4-H4": (COMPLETE, {}), "RunReport": (COMPLETE, {})})
    cached = {node: (CACHED, outputs) for node, (_, outputs) in done.items()}
    write_run(base, SECOND, {**cached, "Trainer-K4-H4": (FAILED, {})})
    write_record(base, FIRST, "tiny", GRAPH, None)
    write_record(base, SECOND, "tiny", GRAPH, None)
    record_error(base, SECOND, "Trainer-K4-H4: training diverged")
    return base


def states(report: RunDocument) -> list[str]:
    return [node.state for node in report.run.nodes]


def test_the_newest_run_failed_and_says_where_and_why(base):
    log(base / "work" / "Trainer-K4-H4" / "0123", range(1, 3))
    report = local_report(find_run(str(base)))
    run = report.run
    assert (run.run_id, run.state, run.error) == (
        SECOND,
        "failed",
        "Trainer-K4-H4: training diverged",
    )
    assert states(report) == ["cached", "cached", "cached", "failed", "not begun"]
    assert report.data.splits["train"].videos == 9
    assert report.members[0].average_gap == 0.5
    assert report.training["K2-H4"]["loss"].steps == (1, 2, 3)
    assert report.training["K4-H4"]["loss"].steps == (1, 2), "as far as it came"
    (artifact,) = [one for one in run.artifacts if one.key == "model_run"]
    assert (artifact.node, artifact.uri) == ("Trainer-K2-H4", str(base / "trained"))
    assert artifact.id > 0
    assert run.code.lock_sha256


def test_an_earlier_run_by_its_id(base):
    report = local_report(find_run(f"{base}/{FIRST}"))
    assert (report.run.run_id, report.run.state, report.run.error) == (
        FIRST,
        "succeeded",
        None,
    )
    assert states(report) == ["done"] * 5
    assert report.run.seconds >= 0
    assert all(node.started for node in report.run.nodes)


def test_a_run_whose_artifacts_were_moved_is_not_said_to_have_done_nothing(base, tmp_path):
    (base / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(
        UserError, match=r"/data is not there any more, which a step of the run made: put the run's"
    ):
        local_report(find_run(str(base)))
    assert write_report_of(str(base)) is None


@pytest.mark.parametrize(("locked", "state"), [(True, "running"), (False, "stopped")])
def test_a_run_that_is_on_and_one_that_was_killed(base, locked, state):
    write_run(base, "2026-01-03T00:00:00.000000", {"YouTube8MExampleGen": (RUNNING, {})})
    with open(base / "lock", "w", encoding="utf-8") as lock:
        if locked:
            fcntl.flock(lock, fcntl.LOCK_EX)
        report = local_report(find_run(str(base)))
    assert (report.run.state, states(report)) == (state, [state])


def test_the_report_and_the_list_of_runs_say_the_same_of_a_run(base):
    unreported = "2026-01-02T05:00:00.000003"
    write_run(base, unreported, {**dict.fromkeys(GRAPH, (COMPLETE, {})), "RunReport": (FAILED, {})})
    write_record(base, unreported, "tiny", GRAPH, None)
    record_error(base, unreported, "RunReport: no room")
    write_run(base, "2026-01-02T06:00:00.000004", {"YouTube8MExampleGen": (RUNNING, {})})
    listed = {run["run_id"]: run["state"] for run in list_runs(str(base))}
    assert [*listed.values()] == ["stopped", "no_report", "failed", "succeeded"]
    reports = {run_id: local_report(find_run(f"{base}/{run_id}")) for run_id in listed}
    assert {run_id: report.run.state for run_id, report in reports.items()} == listed
    assert headline(reports[unreported]).text == "Failed: RunReport: no room"


def test_page_and_numbers_are_written_without_tfx_and_tensorflow(base):
    code = (
        "import sys\nfrom pipeline.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    assert not {'tfx', 'tensorflow', 'apache_beam'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(base), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["run"]["run_id"] == SECOND
    assert json.loads((base / "report.json").read_text(encoding="utf-8")) == report
    assert "training diverged" in (base / "report.html").read_text(encoding="utf-8")


def call(*arguments: str):
    return CliRunner().invoke(app, ["report", *arguments])


def test_reports_from_elsewhere_and_several(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from_cluster = tmp_path / "cluster.json"
    averages = {"K24-H1440": averaging("K24-H1440", 0.87, 0.86)}
    made = run_document(run=facts(["K24-H1440"]), averaging=averages).document()
    from_cluster.write_text(json.dumps(made), encoding="utf-8")
    assert call(str(from_cluster)).output == f"Report: {tmp_path}/cluster.html\n"
    assert "K24-H1440" in (tmp_path / "cluster.html").read_text(encoding="utf-8")
    assert json.loads(from_cluster.read_text(encoding="utf-8")) == json.loads(json.dumps(made))
    earlier = f"{base}/{FIRST}"
    assert call(str(from_cluster), f"{base}/", earlier, "--out", "out/both.html").exit_code == 0
    comparison = json.loads((tmp_path / "out" / "both.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in comparison["runs"]] == [str(from_cluster), str(base), earlier]
    assert [run["state"] for run in comparison["runs"]] == ["succeeded", "failed", "succeeded"]


def test_a_report_of_version_0_1_0_has_a_page(tmp_path):
    """It has neither drift, half time nor a teacher."""
    report = tmp_path / "old.json"
    report.write_bytes((Path(report_samples.__file__).parent / "run_report_0_1_0.json").read_bytes())
    assert call(str(report)).output == f"Report: {tmp_path}/old.html\n"


def test_the_same_run_twice_is_refused_however_it_is_named(base, tmp_path):
    written = tmp_path / "of-the-newest.json"
    assert call(str(base), "--out", str(written.with_suffix(".html"))).exit_code == 0
    for again in (str(base), f"{base}/{SECOND}", str(written)):
        result = call(f"{base}/", again)
        assert str(result.exception) == f"{again} is the same run as {base}: give runs that differ"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("nowhere", "there is no such directory; give the directory of a run"),
        (".", "there is no metadata.sqlite in it; give the directory of a run"),
        ("runs/tiny/yesterday", f"runs/tiny has no run yesterday: the newest are {FIRST}, {SECOND}"),
        ("nowhere.json", "nowhere.json: there is no such file: give the report.json of a RunReport"),
        (
            "other.json",
            "other.json cannot be read: run: Field required: give the report.json of",
        ),
    ],
)
def test_what_is_no_run_is_named(base, tmp_path, monkeypatch, run, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    result = call(run)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"averaging": 7}, "cannot be read: averaging: "),
        ({"training": None}, "cannot be read: training: "),
        ({"run": "x"}, "cannot be read: run: "),
        (
            {"compression": {"K2-H4": {"variant": "K2-H4"}}},
            "cannot be read: compression.K2-H4.",
        ),
        ({"run": {"pipeline": "x"}}, "cannot be read: run."),
    ],
)
def test_a_damaged_report_is_named(tmp_path, damage, message):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**run_document().document(), **damage}), encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(path)])
    assert isinstance(done.exception, UserError), done.exception
    assert str(done.exception).startswith(str(path))
    assert message in str(done.exception)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("size", [0, 4096, 200_000])
def test_a_database_that_was_cut_is_named(base, size):
    with (base / "metadata.sqlite").open("r+b") as file:
        file.truncate(size)
    result = call(str(base))
    assert isinstance(result.exception, UserError), result.exception
    assert f"{base}/metadata.sqlite is damaged, or no database of runs" in str(result.exception)


def test_a_damaged_database_is_named(tmp_path):
    (tmp_path / "metadata.sqlite").write_text("nonsense" * 1000)
    result = call(str(tmp_path))
    assert isinstance(result.exception, UserError)
    assert f"{tmp_path}/metadata.sqlite is damaged, or no database of runs" in str(result.exception)


def test_an_unwritable_place_is_named(base):
    result = call(str(base), "--out", str(base / "metadata.sqlite" / "page.html"))
    assert isinstance(result.exception, UserError)
    assert "give another --out" in str(result.exception)


def test_a_page_that_cannot_be_had_costs_the_run_nothing(tmp_path, caplog):
    assert write_report_of(str(tmp_path)) is None
    assert "there is no report" in caplog.text
