"""JSON of TensorFlow Serving's REST API."""

import base64
import binascii
import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from serving.server.http.json_outputs import write_outputs
from serving.server.http.json_values import base64_bytes
from serving.server.status import StatusError


@hypothesis.given(st.binary(max_size=50), st.integers(0, 60))
def test_base64_with_and_without_padding_and_line_breaks(data, place):
    text = base64.b64encode(data).decode()
    assert base64_bytes(text) == data
    assert base64_bytes(text.rstrip("=")) == data
    assert base64_bytes(text[:place] + "\n" + text[place:]) == data


@hypothesis.given(st.text("ABab01+/=?é-_", max_size=12))
def test_what_is_no_base64_is_refused(text):
    try:
        wanted = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        with pytest.raises(StatusError):
            base64_bytes(text)
    else:
        assert base64_bytes(text) == wanted


def test_numbers_keep_their_bits_and_may_be_no_numbers():
    array = np.float32([0.1, 1e-45, 3.4e38, np.nan, -np.inf])
    written = json.loads(write_outputs({"y": array}, False))["outputs"]
    np.testing.assert_array_equal(np.float32(written), array)


def test_bytes_are_base64_where_their_name_says_so():
    arrays = {"x_bytes": np.array([b"\xff", b"a"], object), "y": np.array([b"\xff", b"a"], object)}
    rows = json.loads(write_outputs(arrays, True))["predictions"]
    assert rows == [{"x_bytes": {"b64": "/w=="}, "y": "\ufffd"}, {"x_bytes": {"b64": "YQ=="}, "y": "a"}]


def test_rows_need_outputs_of_one_length():
    with pytest.raises(StatusError, match="inconsistent batch size: 1 expecting: 2"):
        write_outputs({"a": np.zeros(2), "b": np.zeros(1)}, True)
    with pytest.raises(StatusError, match="has no shape information"):
        write_outputs({"a": np.float32(1)}, True)
