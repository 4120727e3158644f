"""Which videos were seen before, against a dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.video_ids import DIGEST, UNSEEN, SeenIds, digests

FILES = st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=12)


@given(files=FILES)
def test_the_first_file_that_has_an_id_is_remembered(files: list[list[int]]) -> None:
    seen, first = SeenIds(), {}
    for number, ids in enumerate(files):
        expected = []
        for one in ids:
            expected.append(first.get(one, UNSEEN))
            first.setdefault(one, number)
        assert seen.add(number, digests(b"%d" % one for one in ids)).tolist() == expected


def test_ids_whose_hashes_differ_in_the_second_half_only_are_different_videos() -> None:
    twins = np.frombuffer(
        b"sixteen of bytesSIXTEEN of bytesSIXTEEN of bytes".replace(b"SIXTEEN", b"sixteen"), DIGEST
    )
    assert SeenIds().add(0, twins).tolist() == [UNSEEN, 0, 0]
    other = np.frombuffer(b"sixteen of bytessixteen of BYTES", DIGEST)
    seen = SeenIds()
    assert seen.add(0, other).tolist() == [UNSEEN, UNSEEN]
    assert seen.add(1, other[:1]).tolist() == [0]


def test_a_hash_keeps_its_last_bytes_when_they_are_zero() -> None:
    zeros = np.frombuffer(bytes(16) + b"\1" + bytes(15), DIGEST)
    seen = SeenIds()
    assert seen.add(0, zeros).tolist() == [UNSEEN, UNSEEN]
    assert seen.add(1, zeros).tolist() == [0, 0]
