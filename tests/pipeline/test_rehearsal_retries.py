from hypothesis import given
from hypothesis import strategies as st
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.spec_edits import RetryPolicy, with_retries
from pipeline.rehearsal.retries import Retries
from tests.pipeline.rehearsed import documents, step


def test_waits_get_longer_until_there_are_no_more_attempts() -> None:
    policy = Retries(count=3, backoff=60, factor=2, window=10_000)
    assert [policy.wait(attempts, 100) for attempts in (1, 2, 3, 4)] == [60, 120, 240, None]
    assert Retries(count=2, backoff=5, factor=0, window=100).wait(2, 0) == 5


def test_nothing_starts_again_after_the_window() -> None:
    policy = Retries(count=3, backoff=60, factor=2, window=3600)
    assert policy.wait(1, 3540) == 60
    assert policy.wait(1, 3540.1) is None
    assert Retries.of(pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy(max_retry_count=3)).wait(1, 1) is None


def test_what_is_compiled_lets_a_trainer_start_again_after_weeks() -> None:
    spec, _ = documents({"Trainer": step("")})
    made = with_retries(spec, {"Trainer": RetryPolicy(5)})["root"]["dag"]["tasks"]["Trainer"]["retryPolicy"]
    message = pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy()
    from google.protobuf import json_format

    policy = Retries.of(json_format.ParseDict(made, message))
    assert policy == (5, 60, 2, 30 * 86_400)
    assert policy.wait(5, 3 * 7 * 86_400) == 960


@given(st.integers(0, 9), st.integers(1, 12), st.floats(0, 1e6), st.integers(0, 4), st.integers(0, 10**6))
def test_never_more_often_than_counted(count, attempts, since, factor, window) -> None:
    wait = Retries(count, 10, factor, window).wait(attempts, since)
    assert wait is None or (attempts <= count and since + wait <= window)
