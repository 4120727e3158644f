"""The alerts and the dashboard of k8s/monitoring ask for what a server has."""

import json
import re
from pathlib import Path

import jsonschema
import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from serving.server.server_metrics import ServerMetrics

DIRECTORY = Path(__file__).parents[3] / "k8s" / "monitoring"

RULES = {
    "type": "object",
    "required": ["groups"],
    "additionalProperties": False,
    "properties": {
        "groups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "rules"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "rules": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["alert", "expr", "labels", "annotations"],
                            "additionalProperties": False,
                            "properties": {
                                "alert": {"pattern": "^[A-Za-z0-9]+$"},
                                "expr": {"type": "string"},
                                "for": {"pattern": r"^\d+[smh]$"},
                                "labels": {
                                    "required": ["severity"],
                                    "additionalProperties": {"type": "string"},
                                },
                                "annotations": {
                                    "required": ["summary", "description"],
                                    "additionalProperties": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
"""Of https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/."""


def rules():
    document = yaml.safe_load((DIRECTORY / "alerts.yaml").read_text())
    jsonschema.validate(document, RULES)
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels():
    return json.loads((DIRECTORY / "dashboard.json").read_text())["panels"]


EXPRESSIONS = [rule["expr"] for rule in rules()] + [
    target["expr"].replace("$__rate_interval", "5m").replace("$model", ".*")
    for panel in panels()
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def series():
    """The names of a server's series with the labels that they have, before the first request."""
    metrics = ServerMetrics(["m"])

    class State:
        version, state, error = 2, 50, "broken"

    metrics.watch_model("m", lambda: [State])
    metrics.watch_pool("predictions", lambda: 0)
    metrics.load("m", 3, False)
    found = {}
    for line in generate_latest(metrics.registry).decode().splitlines():
        if not line.startswith("#"):
            name, labels = re.match(r"([\w:]+)(?:\{(.*)\})? ", line).groups()
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels or ""))
    return found


def selectors(node):
    """The vector selectors of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (child := getattr(node, name, None)) is not None and not isinstance(child, str):
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_one_and_asks_for_series_that_there_are(expression, series):
    found = list(selectors(promql_parser.parse(expression)))
    assert found
    for selector in found:
        assert selector.name in series, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in series[selector.name]
    for group in re.findall(r"by \(([^)]*)\)", expression):
        asked = set(group.split(", ")) - {"instance"}
        assert any(asked <= series[selector.name] for selector in found)


def test_texts_of_alerts_name_labels_that_their_expressions_keep(series):
    for rule in rules():
        promised = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))) - {"instance"}
        kept = re.search(r"by \(([^)]*)\)", rule["expr"])
        name = next(selectors(promql_parser.parse(rule["expr"]))).name
        assert promised <= (set(kept[1].split(", ")) if kept else series[name]), rule["alert"]


def test_panels_have_places_of_their_own():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels()}) == len(places)
