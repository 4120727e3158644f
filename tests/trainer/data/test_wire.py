"""Fields of messages, against the parser of protobuf itself."""

import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.wire_format import byte_fields

_MESSAGES = st.builds(
    lambda id, labels, frames: tf.train.SequenceExample(
        context=tf.train.Features(
            feature={
                "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=id)),
                "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
            }
        ),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                name: tf.train.FeatureList(
                    feature=[tf.train.Feature(bytes_list=tf.train.BytesList(value=[one])) for one in values]
                )
                for name, values in frames.items()
            }
        ),
    ),
    st.lists(st.binary(max_size=4)),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    st.dictionaries(st.text(max_size=4), st.lists(st.binary(max_size=300), max_size=3), max_size=3),
)


def _lists(data: bytes) -> dict[str, bytes]:
    """As `trainer.data.records` takes them."""
    found = {}
    for number, content in byte_fields(memoryview(data)):
        if number == 2:
            for _, entry in byte_fields(content):
                fields = dict(byte_fields(entry))
                found[str(fields.get(1, b""), "utf-8")] = bytes(fields.get(2, b""))
    return found


@given(_MESSAGES)
def test_feature_lists_are_those_that_protobuf_finds(message):
    data = message.SerializeToString(deterministic=True)
    expected = {
        name: value.SerializeToString(deterministic=True)
        for name, value in message.feature_lists.feature_list.items()
    }
    assert _lists(data) == expected
    context = [bytes(content) for number, content in byte_fields(memoryview(data)) if number == 1]
    assert [tf.train.Features.FromString(one) for one in context] == [message.context]


@given(st.binary(max_size=40))
def test_any_bytes_are_taken_apart_or_refused_as_protobuf_does(data):
    try:
        tf.train.SequenceExample.FromString(data)
    except Exception:
        return  # what protobuf refuses within a field may pass here: its content is another message
    # Of what protobuf reads, only groups are refused: nothing has written them for twenty years.
    assert "wire type 3" in (_refusal(data) or "wire type 3")


def _refusal(data: bytes) -> str | None:
    try:
        list(byte_fields(memoryview(data)))
    except DecodeError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0a", "end within a number"),
        (b"\x0a\x05abc", "of which 3 are there"),
        (b"\x0a" + b"\xff" * 11, "more than 10 bytes"),
        (b"\x0f", "wire type 7"),
        (b"\x02\x00", "of 0 bytes"),
        (b"\x0d\x00", "of 4 bytes"),
    ],
)
def test_what_is_no_message_is_refused(data, message):
    with pytest.raises(DecodeError, match=message):
        list(byte_fields(memoryview(data)))


def test_numbers_of_other_types_are_passed_over():
    data = b"\x08\x96\x01" + b"\x0d1234" + b"\x1112345678" + b"\x12\x02ok"
    assert [(number, bytes(content)) for number, content in byte_fields(memoryview(data))] == [(2, b"ok")]
