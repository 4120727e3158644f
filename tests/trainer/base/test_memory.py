"""What the system is asked for."""

import mmap

import numpy as np
import pytest

from trainer.base import memory
from trainer.base.memory import use_huge_pages


def test_large_blocks_keep_what_is_in_them_and_small_ones_are_left_alone():
    values = np.arange(8 << 20)
    asked = use_huge_pages(32 << 20)
    assert np.array_equal(values, np.arange(8 << 20))
    if asked:
        assert asked >= values.nbytes // 2
    assert use_huge_pages(1 << 50) == 0


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="the system has no huge pages")
def test_the_numbers_are_the_system_s():
    assert memory._HUGEPAGE == mmap.MADV_HUGEPAGE
    assert memory._HUGE_PAGE_BYTES == 2 << 20


def test_elsewhere_nothing_happens(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_MAPS", str(tmp_path / "absent"))
    assert use_huge_pages() == 0
