"""Whether the server answers as the assembling graph does.

Legend: B videos, V classes, k = min(20, V).
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.model_server_validator.probes import Probe
from serving.base.errors import ServingError
from serving.client.client import PredictClient
from serving.server.server import PredictionServer
from serving.store.model_store import publish
from serving.store.whole_model import load_model
from trainer.base.errors import UserError
from trainer.data.yt8m import TOP_K

TOLERANCE = 1e-5
"""Probabilities of the same graph differ by some 1e-7 between batch sizes; a wrong weight shows far above
this."""

TIMEOUT_SECONDS = 300.0
"""For one request: the first one of a big ensemble on a small machine is slow."""


@dataclass(frozen=True)
class Check:
    """One condition.

    Attributes:
        name: load, the name of a probe, or bad_record.
        passed: Whether it holds.
        text: One sentence for people.
    """

    name: str
    passed: bool
    text: str


def validate_server(model_dir: str, probes: Sequence[Probe]) -> dict[str, Any]:
    """Publishes a candidate to a directory of this function's own, serves it from there, and asks it.

    Args:
        model_dir: SavedModel with the signatures serving_default and predictions.
        probes: Requests.

    Returns:
        The JSON form: blessed, the reasons (what failed or, if nothing did, what passed), and all checks.
    """
    expected = _direct_answers(model_dir, probes)
    with tempfile.TemporaryDirectory() as base:
        checks = _served_checks(model_dir, base, probes, expected)
    failed = [check for check in checks if not check.passed]
    return {
        "blessed": not failed,
        "reasons": [check.text for check in failed or checks],
        "checks": [asdict(check) for check in checks],
    }


def mismatch(classes: np.ndarray, scores: np.ndarray, dense: np.ndarray) -> str | None:
    """How an answer differs from the best classes of dense predictions; None when it does not.

    Ties may be in any order, and classes within the tolerance of each other count as ties.

    Args:
        classes: int64 [B, k], as answered.
        scores: float32 [B, k], as answered.
        dense: float32 [B, V].
    """
    k = min(TOP_K, dense.shape[1])
    if classes.shape != (len(dense), k) or scores.shape != (len(dense), k):
        return f"shapes {classes.shape} and {scores.shape} instead of {(len(dense), k)}"
    if not np.isfinite(scores).all():
        return "a score is not finite"
    if classes.min() < 0 or classes.max() >= dense.shape[1]:
        return f"a class outside 0..{dense.shape[1] - 1}"
    if any(len(set(row)) < k for row in classes.tolist()):
        return "a class twice in one answer"
    best = -np.sort(-dense, axis=1)[:, :k]
    own = np.take_along_axis(dense, classes, axis=1)
    difference = max(np.abs(scores - best).max(), np.abs(scores - own).max())
    return None if difference <= TOLERANCE else f"scores that differ by {difference:.2e}"


def _direct_answers(model_dir: str, probes: Sequence[Probe]) -> list[np.ndarray]:
    """Dense predictions, float32 [B, V], of each probe."""
    # Held here: the tensors that are decoded at load go with the model, and a signature does not keep it.
    model = load_model(model_dir)
    predictions = model.signatures["predictions"]
    return [
        predictions(examples=tf.constant([video.sequence_example for video in probe.videos]))[
            "predictions"
        ].numpy()
        for probe in probes
    ]


def _served_checks(
    model_dir: str, base: str, probes: Sequence[Probe], expected: Sequence[np.ndarray]
) -> list[Check]:
    try:
        publish(model_dir, base)
        server = PredictionServer(base, model_name="candidate", port=0)
        server.start()
    except UserError as error:
        return [Check("load", False, f"the model server does not load it: {error}")]
    try:
        with PredictClient(f"127.0.0.1:{server.port}", "candidate", TIMEOUT_SECONDS) as client:
            loaded = Check("load", True, "the model server loads it")
            answered = [_ask(client, probe, dense) for probe, dense in zip(probes, expected, strict=True)]
            # Last, so that it also shows that a refusal leaves the server serving: the first probe once more.
            return [loaded, *answered, _refusal(client, probes[0], expected[0])]
    finally:
        server.stop()


def _ask(client: PredictClient, probe: Probe, dense: np.ndarray) -> Check:
    what = f"request {probe.name!r} ({len(probe.videos)} videos, up to {_longest(probe)} frames)"
    try:
        classes, scores = client.predict([video.sequence_example for video in probe.videos])
    except (UserError, ServingError) as error:
        return Check(probe.name, False, f"{what} fails: {error}")
    problem = mismatch(classes, scores, dense)
    if problem:
        return Check(probe.name, False, f"{what} is answered with {problem}")
    return Check(probe.name, True, f"{what} is answered as by the model itself")


def _refusal(client: PredictClient, probe: Probe, dense: np.ndarray) -> Check:
    try:
        client.predict([b""])
    except UserError:
        again = _ask(client, probe, dense)
        return Check("bad_record", again.passed, f"a record without frames is refused; then {again.text}")
    except ServingError as error:
        return Check("bad_record", False, f"a record without frames is not refused but fails: {error}")
    return Check("bad_record", False, "a record without frames is scored")


def _longest(probe: Probe) -> int:
    return max(video.num_frames for video in probe.videos)
