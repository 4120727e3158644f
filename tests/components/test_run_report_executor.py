"""RunReport's executor: artifacts in, page and documents out, whatever is missing."""

import json

import pytest

from tests.components.report_samples import brief_averaging, stored
from tests.components.test_report_sources import log


@pytest.mark.slow
def test_executor_reads_what_there_is(tmp_path):
    from tfx.types import channel, standard_artifacts

    from components.artifacts import HtmlPage, Metrics, Report
    from components.run_report.component import RunReport
    from components.run_report.executor import Executor

    def artifact(kind, name, file, content):
        one = kind()
        one.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
        if content is not None:
            (tmp_path / name / file).write_text(json.dumps(content))
        return [one]

    log(tmp_path / "t1", range(1, 2), offset=1.5)
    run_of_training = standard_artifacts.ModelRun()
    run_of_training.uri = str(tmp_path / "t1")
    inputs = {
        "training_001": [run_of_training],
        "averaging_000": artifact(Report, "a0", "report.json", brief_averaging("K2-H4", 0.1, 0.2)),
        "averaging_001": artifact(Report, "a1", "report.json", brief_averaging("K4-H4", 0.3, 0.4)),
        "compression_000": artifact(Report, "c0", "report.json", stored("K2-H4", 2, 1)),
        "blessing": artifact(
            standard_artifacts.ModelBlessing,
            "b",
            "blessing_reasons.json",
            {"blessed": True, "reasons": ["x"]},
        ),
        "push": artifact(standard_artifacts.PushedModel, "p", "pushed.json", None),
    }
    outputs = {
        "report": artifact(Report, "out", "report.json", None),
        "page": artifact(HtmlPage, "page", "", None),  # TFX makes a directory for it
        "metrics": artifact(Metrics, "metrics", "", None),
    }
    graph = {"Trainer-K2-H4": [], "Pusher": ["Trainer-K2-H4"], "RunReport": ["Pusher"]}
    recipe = {"name": "tiny", "variants": ["K2-H4", "K4-H4"]}
    properties = {
        "recipe": json.dumps(recipe),
        "graph": json.dumps(graph),
        "run_id": "run-7",
        "names": '["K2-H4", "K4-H4"]',
    }
    Executor().Do(inputs, outputs, properties)
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {row["variant"]: row["average_gap"] for row in written["members"]} == {"K2-H4": 0.2, "K4-H4": 0.4}
    assert (written["blessing"], written["push"]) == ({"blessed": True, "reasons": ["x"]}, None)
    assert written["training"] == {"K4-H4": {"loss": {"steps": [1], "values": [2.5]}}}
    run = written["run"]
    assert (run["pipeline"], run["run_id"], run["recipe"]) == ("tiny", "run-7", recipe)
    assert {node["id"]: node["state"] for node in run["nodes"]} == dict.fromkeys(graph, "done") | {
        "RunReport": "running"
    }
    assert {
        "key": "push",
        "type": "PushedModel",
        "uri": str(tmp_path / "p"),
        "id": None,
        "node": None,
    } in run["artifacts"]
    assert "| K2-H4 | 2.00 | 1.00 | 50.0% |" in (tmp_path / "out" / "report.md").read_text()
    page = (tmp_path / "page").read_text()
    assert page == (tmp_path / "out" / "report.html").read_text()
    assert "run-7" in page
    assert outputs["metrics"][0].get_float_custom_property("gap_K2-H4") == 0.5

    node = RunReport(
        recipe="{}",
        graph="{}",
        run_id="1",
        training=[channel.Channel(type=standard_artifacts.ModelRun)],
        averaging=[channel.Channel(type=Report) for _ in range(2)],
        compression=[channel.Channel(type=Report)],
        blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
    )
    assert set(node.inputs) == {
        "training_000", "averaging_000", "averaging_001", "compression_000", "blessing",
    }  # fmt: skip
    assert {key: channel.type_name for key, channel in node.outputs.items()} == {
        "report": "yt8m.Report",
        "page": "system.HTML",
        "metrics": "system.Metrics",
    }
