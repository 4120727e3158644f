import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.base.addresses import (
    MAX_OBJECT_BYTES,
    BucketAddress,
    address_fault,
    check_bucket_address,
    check_inside,
    check_local,
    parse_bucket_address,
)
from trainer.base.errors import UserError


@pytest.mark.parametrize(
    "address",
    [
        "models/yt8m", "/models/yt8m", "../models", "a:b/c", "räume/ß", "~old/x", "a/~/b", "$x.csv",
        "gs://bucket", "gs://bucket/", "gs://bkt/a/b",
        "gs://my_bucket-1.example.com/a b/c=d,e", f"gs://{'b' * 63}/x", f"gs://{'b' * 63}.{'c' * 63}/x",
        f"gs://bucket/{'x' * MAX_OBJECT_BYTES}", "/x[1]/what?",
    ],
)  # fmt: skip
def test_addresses_that_can_be(address) -> None:
    assert address_fault(address) is None


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\nb", "control character"),
        ("gs://bucket/a\0", "control character"),
        ("gs://b/models", "3 to 63 characters"),
        ("gs://My_Bucket!/models", "lower-case letters"),
        ("gs://Bucket/models", "lower-case letters"),
        ("gs:///models", "lower-case letters"),
        ("gs://-bucket/models", "begins and ends with a letter or digit"),
        (f"gs://{'b' * 64}/x", "3 to 63"),
        ("gs://bu..cket/x", "1 to 63 between two dots"),
        ("gs://192.168.5.4/x", "no IP address"),
        ("gs://goog-bucket/x", "goog"),
        ("gs://my-google-bucket/x", "goog"),
        ("gs:/bucket/models", "two slashes stand behind gs:"),
        ("gs:bucket/models", "two slashes stand behind gs:"),
        ("s3://bucket/models", "s3:// is not supported"),
        ("file:///models", "file:// is not supported"),
        ("./gs://bucket/models", "is not supported"),
        ("gs://bucket//models", "two slashes"),
        ("gs://bucket/a/../b", "no . and .."),
        ("gs://bucket/a*", "wildcards"),
        ("gs://bucket/.well-known/acme-challenge/x", ".well-known"),
        (f"gs://bucket/{'x' * (MAX_OBJECT_BYTES + 1)}", "at most 1,024 bytes"),
        (f"gs://bucket/{'ß' * 513}", "at most 1,024 bytes"),
        (f"/a/{'x' * 256}", "at most 255 bytes"),
        ("~/models", "only a shell replaces ~,"),
        ("~", "only a shell replaces ~,"),
        ("$HOME/models", "only a shell replaces $HOME,"),
        ("${DATA}/train*", "only a shell replaces ${DATA},"),
    ],
)
def test_addresses_that_cannot_be(address, fault) -> None:
    assert fault in address_fault(address)


def test_a_pattern_may_have_wildcards_in_the_objects_name_only() -> None:
    assert address_fault("gs://bucket/span-{SPAN}/[ab]?*.tfrecord", pattern=True) is None
    assert "lower-case letters" in address_fault("gs://buck*/x", pattern=True)


def test_what_is_read_may_have_a_scheme_that_tensorflow_knows() -> None:
    assert address_fault("ram://x/model", any_scheme=True) is None
    assert "lower-case" in address_fault("gs://Bucket/x", any_scheme=True)
    assert "two slashes" in address_fault("gs:/bucket/x", any_scheme=True)
    for scheme in ("http", "https", "s3"):
        assert f"{scheme}:// is not supported" in address_fault(f"{scheme}://x/a.tfrecord", any_scheme=True)


def test_a_place_in_a_bucket_is_more_than_the_bucket() -> None:
    check_bucket_address("gs://bucket/root", "--pipeline-root")
    for address in ("gs://bucket", "gs://bucket/", "/root", "root"):
        with pytest.raises(UserError, match=r"--pipeline-root: .* give gs://BUCKET/DIRECTORY"):
            check_bucket_address(address, "--pipeline-root")


def test_local_is_no_bucket() -> None:
    check_local("runs/demo", "--root")
    with pytest.raises(UserError, match="--root: 'gs://bucket/runs' is not on this machine"):
        check_local("gs://bucket/runs", "--root")


@given(
    st.from_regex(re.compile(r"[a-z0-9]{3,20}"), fullmatch=True),
    st.lists(st.sampled_from("abcß"), max_size=5),
)
def test_an_address_is_made_of_its_parts(bucket, parts) -> None:
    name = "/".join(parts)
    if "google" not in bucket and not bucket.startswith("goog"):
        assert parse_bucket_address(f"gs://{bucket}/{name}", "x") == BucketAddress(bucket, name)


@given(st.text())
def test_any_text_is_judged(text) -> None:
    for pattern in (False, True):
        fault = address_fault(text, pattern=pattern)
        assert fault is None or fault


def test_names_that_stay_inside() -> None:
    check_inside(["saved_model.pb", "variables/variables.index", "a name/..b", "...", "räume"], "here")


@pytest.mark.parametrize(
    "name", ["", "/abs", "../x", "a/../../x", "..", "a//b", "./a", "a/", "a\0b", "a\nb", "x" * 256]
)
def test_names_that_lead_out_or_can_be_no_files(name) -> None:
    with pytest.raises(UserError, match=r"^here: the name .*; nothing was written$"):
        check_inside(["fine", name], "here")
