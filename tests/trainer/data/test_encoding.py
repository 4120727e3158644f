import numpy as np
import pytest
import tensorflow as tf

from tests.records import sequence_example as tf_sequence_example
from trainer.data.encoding import (
    dequantise,
    encode_frames,
    frame_prefix,
    quantise,
    sequence_example,
    summary_example,
)


def test_quantise_inverts_the_data_sets_code() -> None:
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(dequantise(codes)), codes)


@pytest.mark.parametrize(
    ("value", "code"), [(-1.9921875, 0), (2.0078125, 255), (-3.0, 0), (3.0, 255), (0.0, 127), (0.0077, 127)]
)
def test_quantise_by_hand(value: float, code: int) -> None:
    # 0 is (0 + 1.9921875) * 63.75 = 127.002.
    assert quantise(np.array([value]))[0] == code


def test_the_nearest_code_is_chosen() -> None:
    values = np.linspace(-1.99, 2.0, 1001)
    assert np.abs(dequantise(quantise(values)) - values).max() <= 4 / 255 / 2 + 1e-6


def test_tensorflow_reads_the_same_message() -> None:
    generator = np.random.default_rng(0)
    rgb, audio = generator.integers(0, 256, (3, 1024)), generator.integers(0, 256, (3, 128))
    ours = tf.train.SequenceExample.FromString(
        sequence_example(b"abcd", [1, 5], encode_frames(rgb), encode_frames(audio))
    )
    theirs = tf.train.SequenceExample.FromString(
        tf_sequence_example(
            [bytes(frame) for frame in rgb.astype(np.uint8)],
            [bytes(frame) for frame in audio.astype(np.uint8)],
            [1, 5],
            b"abcd",
        )
    )
    assert ours == theirs


def test_the_bytes_before_a_frame() -> None:
    # Feature (131 bytes) of a BytesList (128 + 3) of one value of 128 bytes.
    assert frame_prefix(128) == b"\x0a\x86\x01\x0a\x83\x01\x0a\x80\x01"


def test_summary_is_a_tf_example_and_has_no_labels_where_there_are_none() -> None:
    features = tf.train.Example.FromString(summary_example(b"ab", [7, 9], 12)).features.feature
    assert features["id"].bytes_list.value == [b"ab"]
    assert features["labels"].int64_list.value == [7, 9]
    assert features["num_frames"].int64_list.value == [12]
    assert "labels" not in tf.train.Example.FromString(summary_example(b"ab", [], 12)).features.feature
