"""Which models and versions are served: policies, labels, and TensorFlow Serving's configuration files."""

import grpc
import pytest
import tensorflow as tf

from serving.server.models.model_config import ModelConfig, read_model_configs
from serving.server.models.version_policy import VersionPolicy
from serving.server.server import PredictionServer
from tests.serving.api import Stubs, predict_request, states
from trainer.base.errors import UserError


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("latest", [7]), ("latest:2", [7, 5]), ("all", [7, 5, 2]), ("5,2,9", [5, 2]), ("latest:9", [7, 5, 2])],
)
def test_policies(text, chosen):
    assert VersionPolicy.parse(text).choose([2, 5, 7]) == chosen


@pytest.mark.parametrize("text", ["", "latest:0", "latest:x", "newest", "1,,2", "-1"])
def test_other_policies_are_refused(text):
    with pytest.raises(UserError, match="versions are latest"):
        VersionPolicy.parse(text)


CONFIG = """
model_config_list {
  config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
  config {
    name: "b" base_path: "/models/b"
    model_version_policy { specific { versions: 3 versions: 5 } }
    version_labels { key: "stable" value: 3 }
  }
  config { name: "c" base_path: "/c" model_version_policy { latest { num_versions: 2 } } }
  config { name: "d" base_path: "/d" model_version_policy { all {} } }
}
"""


def test_a_model_config_file_of_tensorflow_serving(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(CONFIG)
    assert read_model_configs(str(path)) == [
        ModelConfig(name="a", base_path="/models/a"),
        ModelConfig(
            name="b",
            base_path="/models/b",
            policy=VersionPolicy(specific=(3, 5)),
            labels={"stable": 3},
        ),
        ModelConfig(name="c", base_path="/c", policy=VersionPolicy(latest=2)),
        ModelConfig(name="d", base_path="/d", policy=VersionPolicy(everything=True)),
    ]


def test_the_example_of_the_message_is_one(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("models {}")
    with pytest.raises(UserError) as raised:
        read_model_configs(str(path))
    path.write_text(str(raised.value).partition("it is like ")[2])
    assert read_model_configs(str(path)) == [ModelConfig(name="yt8m", base_path="/models/yt8m")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no model"),
        (
            "models {}",
            r"is not a ModelServerConfig in text form \(line 1\): it is like model_config_list { config",
        ),
        ('\n{"model_config_list": []}', r"in text form \(line 2\)"),
        ("model_config_list { config { name: 'a' } }", "needs a name and a base_path"),
        (
            "model_config_list { config { name: 'a' base_path: 'b' } config { name: 'a' base_path: 'c' } }",
            "two",
        ),
    ],
)
def test_a_wrong_model_config_file(tmp_path, text, problem):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(UserError, match=problem):
        read_model_configs(str(path))


def test_several_models_versions_and_labels(base):
    configs = [
        ModelConfig(name="old", base_path=base, policy=VersionPolicy(specific=(1,))),
        ModelConfig(
            name="both", base_path=base, policy=VersionPolicy(latest=2), labels={"stable": 2, "canary": 3}
        ),
        ModelConfig(name="all", base_path=base, policy=VersionPolicy(everything=True)),
    ]
    with PredictionServer(configs, port=0) as server:
        stubs = Stubs(server.port)

        def score(model, version=None, label=""):
            request = predict_request(model=model, version=version, examples=[b"x"])
            if label:
                request.model_spec.version_label = label
            return tf.make_ndarray(stubs.prediction.Predict(request).outputs["scores"])[0, 0]

        assert [score("old"), score("both"), score("all"), score("all", 1)] == [30, 90, 90, 30]
        assert [score("both", label="stable"), score("both", label="canary")] == [60, 90]
        assert states(stubs, name="both") == [(3, "AVAILABLE"), (2, "AVAILABLE")]
        assert [version for version, _ in states(stubs, name="all")] == [3, 2, 1]
        for model, label, version in (("all", "stable", None), ("old", "", 3)):
            with pytest.raises(grpc.RpcError) as raised:
                score(model, version, label)
            text = raised.value.details()
            assert text in (
                "Unrecognized servable version label: stable",
                "Servable not found for request: Specific(old, 3)",
            )
        stubs.channel.close()


def test_a_label_must_point_to_a_served_version(base):
    config = ModelConfig(name="m", base_path=base, labels={"stable": 1})
    with pytest.raises(UserError, match="label stable of model m points to version 1, which is not served"):
        PredictionServer([config], port=0).start()
    config = ModelConfig(name="m", base_path=base, policy=VersionPolicy(specific=(1, 8)))
    with pytest.raises(UserError, match="has no version 8"):
        PredictionServer([config], port=0).start()
