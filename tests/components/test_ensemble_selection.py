"""Which models and which combinations of them are looked at: the inferiority rule, forms, and what fits."""

import dataclasses
import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from components.ensemble_assembler.ensemble import ModelEntry
from components.ensemble_assembler.selection import (
    FORM_TOLERANCE,
    fitting_combinations,
    inferior_to,
    needless_forms,
)
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.base.units import MIB
from trainer.model.architectures.chain import Chain
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.architectures.mlp import Mlp
from trainer.model.model_spec import ModelSpec

TABLE1_BYTES = [stored_bytes(ModelSpec(variant), FLOAT16) for variant in TABLE1]


def models(*pairs):
    """Models of one family and of different sizes."""
    return [
        ModelEntry(variant=str(index), bytes=size, gap=gap, architecture=Mlp(index + 1))
        for index, (size, gap) in enumerate(pairs)
    ]


class TestInferior:
    def test_larger_and_no_better_goes(self):
        entries = models((10, 0.8), (20, 0.8), (20, 0.9), (5, 0.1), (10, 0.7))
        assert inferior_to(entries) == [None, 2, None, None, 0]

    def test_of_identical_ones_exactly_one_stays(self):
        assert inferior_to(models((10, 0.5), (10, 0.5), (10, 0.5))) == [None, 0, 0]

    def test_another_family_makes_nobody_superfluous(self):
        entries = models((10, 0.8), (20, 0.7), (20, 0.7))
        entries[1] = dataclasses.replace(entries[1], architecture=Chain(3, 8))
        assert inferior_to(entries) == [None, None, 0]

    def test_another_seed_of_the_same_architecture_makes_nobody_superfluous(self):
        entries = models((10, 0.8), (10, 0.7), (10, 0.8), (20, 0.7), (30, 0.6))
        for index in (1, 2):
            entries[index] = dataclasses.replace(entries[index], architecture=entries[0].architecture)
        assert inferior_to(entries) == [None, None, None, 0, 0]

    def test_the_paper_keeps_18_of_its_table(self):
        gaps = (
            0.8744, 0.8731, 0.8721, 0.8718, 0.87171, 0.8717, 0.8712, 0.8702, 0.8685, 0.8684, 0.8683, 0.8665, 0.8660,
            0.8658, 0.8644, 0.8616, 0.8605, 0.8594,
        )  # fmt: skip
        entries = models(
            *(
                (stored_bytes(ModelSpec(variant), FLOAT16), gap)
                for variant, gap in zip(TABLE1, gaps, strict=True)
            )
        )
        assert inferior_to(entries) == [None] * 18

    @given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=9))
    def test_law(self, pairs):
        reasons = inferior_to(models(*pairs))
        kept = [index for index, reason in enumerate(reasons) if reason is None]
        # Those that stay are a trade of size for GAP: sorted by one, they are sorted by the other.
        order = sorted(kept, key=lambda index: pairs[index][0])
        for small, large in itertools.pairwise(order):
            assert pairs[small][0] < pairs[large][0]
            assert pairs[small][1] < pairs[large][1]
        for index, reason in enumerate(reasons):
            if reason is not None:
                assert reason in kept
                assert pairs[reason][0] <= pairs[index][0]
                assert pairs[reason][1] >= pairs[index][1]


class TestCombinations:
    def test_the_paper_counts_14224(self):
        assert len(fitting_combinations(TABLE1_BYTES, 1024 * MIB)) == 14_224

    def test_limit_to_the_byte(self):
        assert (0, 1) in fitting_combinations([60, 40], 100)
        assert fitting_combinations([60, 40], 99) == [(0,), (1,)]
        assert fitting_combinations([60, 40], 40) == [(1,)]
        assert fitting_combinations([60, 40], 39) == []

    @given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 60))
    def test_equals_brute_force(self, sizes, limit):
        everything = itertools.chain.from_iterable(
            itertools.combinations(range(len(sizes)), count) for count in range(1, len(sizes) + 1)
        )
        expected = [one for one in everything if sum(sizes[index] for index in one) <= limit]
        assert sorted(fitting_combinations(sizes, limit)) == sorted(expected)


def forms(*triples):
    """Of (model, bytes, GAP)."""
    return [
        ModelEntry(variant="v", model=model, bytes=size, gap=gap, architecture=Mlp(8))
        for model, size, gap in triples
    ]


class TestForms:
    def test_a_larger_form_must_be_worth_it(self):
        entries = forms(
            (0, 100, 0.8), (0, 50, 0.8), (0, 25, 0.7), (1, 90, 0.8), (1, 45, 0.79996), (1, 20, 0.7)
        )
        assert needless_forms(entries) == [1, None, None, 4, None, None]

    def test_losses_do_not_add_up_over_many_forms(self):
        entries = forms(*((0, 10 + step, 0.5 + step * 0.8 * FORM_TOLERANCE) for step in range(6)))
        assert needless_forms(entries) == [None, 0, None, 2, None, 4]

    def test_a_form_of_unknown_gap_stays(self):
        assert needless_forms(forms((0, 20, math.nan), (0, 10, math.nan), (0, 5, 0.5))) == [None] * 3

    @given(st.lists(st.integers(0, 2), min_size=1, max_size=7), st.integers(0, 12), st.randoms())
    def test_a_model_stands_in_a_combination_once(self, owners, limit, random):
        owners, sizes = sorted(owners), [random.randint(1, 5) for _ in owners]
        found = fitting_combinations(sizes, limit, models=owners)
        everything = itertools.chain.from_iterable(
            itertools.combinations(range(len(sizes)), count) for count in range(1, len(sizes) + 1)
        )
        expected = [
            one
            for one in everything
            if sum(sizes[index] for index in one) <= limit
            and len({owners[index] for index in one}) == len(one)
        ]
        assert sorted(found) == sorted(expected)
        assert fitting_combinations(sizes, limit, owners, len(expected)) == found
        if expected:
            assert fitting_combinations(sizes, limit, owners, len(expected) - 1) is None
