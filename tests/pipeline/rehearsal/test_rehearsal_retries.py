import math

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.spec_edits import RetryPolicy, with_retries
from pipeline.rehearsal.backend import BACKENDS, ControllerRetryPolicy
from pipeline.rehearsal.retries import Retries
from tests.pipeline.rehearsed import documents, step

ALWAYS = ControllerRetryPolicy.ALWAYS


def message(**policy) -> pipeline_spec_pb2.PipelineTaskSpec:
    return pipeline_spec_pb2.PipelineTaskSpec(
        retry_policy=pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy(**policy)
    )


def test_waits_get_longer_until_there_are_no_more_attempts() -> None:
    own = Retries(count=3, backoff=60, factor=2, window=10_000, policy=ALWAYS)
    assert [own.wait(attempts, 100, False) for attempts in (1, 2, 3, 4)] == [60, 120, 240, None]
    assert Retries(count=2, backoff=5, factor=0, window=100, policy=ALWAYS).wait(2, 0, False) == 5


def test_nothing_starts_again_after_the_window() -> None:
    own = Retries(count=3, backoff=60, factor=2, window=3600, policy=ALWAYS)
    assert own.wait(1, 3540, False) == 60
    assert own.wait(1, 3540.1, False) is None
    assert Retries.of(message(max_retry_count=3), BACKENDS["2.14"], ALWAYS).wait(1, 1, False) is None


@pytest.mark.parametrize(
    ("policy", "failed", "deleted"),
    [("OnFailure", True, False), ("OnError", False, True), ("Always", True, True)],
)
def test_what_a_policy_covers(policy: str, failed: bool, deleted: bool) -> None:
    own = Retries(count=1, backoff=5, factor=0, window=100, policy=ControllerRetryPolicy(policy))
    assert (own.wait(1, 0, False), own.wait(1, 0, True)) == (5 if failed else None, 5 if deleted else None)


def test_tasks_without_a_policy_get_what_the_controller_gives_to_all() -> None:
    bare = pipeline_spec_pb2.PipelineTaskSpec()
    old, new = (Retries.of(bare, BACKENDS[version], BACKENDS[version].retry_policy) for version in BACKENDS)
    assert (old.count, old.policy) == (0, "OnFailure")
    assert new == (2, 0, 0, math.inf, "OnError")
    assert [new.wait(attempts, 1e6, True) for attempts in (1, 2, 3)] == [0, 0, None]
    # A policy of its own counts, a count of 0 in it, too.
    assert Retries.of(message(max_retry_count=0), BACKENDS["2.17"], ALWAYS).wait(1, 0, True) is None


def test_what_is_compiled_lets_a_trainer_start_again_after_weeks() -> None:
    spec, _ = documents({"Trainer": step("")})
    made = with_retries(spec, {"Trainer": RetryPolicy(5)})["root"]["dag"]["tasks"]["Trainer"]
    task = json_format.ParseDict({"retryPolicy": made["retryPolicy"]}, pipeline_spec_pb2.PipelineTaskSpec())
    own = Retries.of(task, BACKENDS["2.17"], ALWAYS)
    assert own == (5, 60, 2, 30 * 86_400, "Always")
    assert own.wait(5, 3 * 7 * 86_400, False) == 960


@given(st.integers(0, 9), st.integers(1, 12), st.floats(0, 1e6), st.integers(0, 4), st.integers(0, 10**6))
def test_never_more_often_than_counted(count, attempts, since, factor, window) -> None:
    wait = Retries(count, 10, factor, window, ALWAYS).wait(attempts, since, False)
    assert wait is None or (attempts <= count and since + wait <= window)
