"""Properties of the codecs that change values: how far they may be off, and that NumPy and the graph agree."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from serving.export.codecs import CODECS
from serving.export.codecs.floats import Float32
from serving.export.codecs.integers import Int4, Int8
from serving.export.codecs.low_rank import LowRank
from serving.export.codecs.rounding import block_scales, calibrated_rounding
from serving.export.codecs.sparse import Sparse
from trainer.model.moment_groups import moments_shape, row_groups

MATRICES = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)
"""Zeros, tiny values, and values of very different sizes in one column."""
SUBNORMAL = 2e-38
"""Smaller numbers are zero for TensorFlow."""
FEW = settings(max_examples=40, deadline=None)


def as_matrix(array):
    return array.reshape(-1, 1) if array.ndim == 1 else array.reshape(-1, array.shape[-1])


def in_groups(inputs, size):
    """Second moments [G, R, R] of groups of `size` columns, the last one padded with zeros."""
    padded = np.pad(inputs, [(0, 0), (0, -inputs.shape[1] % size)])
    groups = padded.reshape(len(inputs), -1, size).transpose(1, 0, 2)
    return groups.transpose(0, 2, 1) @ groups


def on_the_diagonal(statistics, rows):
    """The matrix [1, P, P] of the blocks of all groups."""
    return linalg.block_diag(*statistics)[np.newaxis, :rows, :rows]


@given(MATRICES)
@FEW
def test_int8_is_off_by_half_a_scale(array):
    parts = Int8().encode(array)
    decoded = as_matrix(Int8().decode(parts, array.shape))
    scales = np.abs(as_matrix(array)).max(axis=0) / np.float32(127)
    np.testing.assert_array_equal(parts["scales"], scales)
    assert (np.abs(decoded - as_matrix(array)) <= scales * 0.50001 + SUBNORMAL).all()
    expected = as_matrix(parts["values"]).astype(np.float32) * scales
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=SUBNORMAL)


@given(MATRICES, st.sampled_from([1, 2, 3, 32]))
@FEW
def test_int4_is_off_by_no_more_than_half_the_scale_that_reaches_the_largest(array, block):
    codec, matrix = Int4(block), as_matrix(array)
    parts = codec.encode(array)
    decoded = as_matrix(codec.decode(parts, array.shape))
    for start in range(0, len(matrix), block):
        rows = slice(start, start + block)
        count = len(matrix[rows])
        # The widest scale, with what float16 rounds it up by; the best one is no worse over the whole block.
        widest = np.abs(matrix[rows]).max(axis=0) / 7 * (1 + 2**-10) + 2.0**-24
        error = ((decoded[rows] - matrix[rows]) ** 2).sum(axis=0)
        assert (error <= count * (widest * 0.50001) ** 2).all()
    low, high = parts["values"].astype(np.int16) << 12 >> 12, parts["values"].astype(np.int16) >> 4
    numbers = np.concatenate([low, high])[: len(matrix)].astype(np.float32)
    scales = np.repeat(parts["scales"].astype(np.float32), block, axis=0)[: len(matrix)]
    np.testing.assert_array_equal(decoded, numbers * scales)
    assert np.abs(numbers).max() <= 7


@given(MATRICES, st.integers(1, 100))
@FEW
def test_sparse_keeps_the_largest_of_each_column_as_they_are(array, percent):
    codec, matrix = Sparse(Float32(), percent), as_matrix(array)
    decoded = as_matrix(codec.decode(codec.encode(array), array.shape))
    count = -(-len(matrix) * percent // 100)
    for column, kept in zip(matrix.T, decoded.T, strict=True):
        assert np.array_equal(kept[kept != 0], column[kept != 0])
        largest = np.sort(np.abs(column))[::-1][:count]
        np.testing.assert_array_equal(np.sort(np.abs(kept))[::-1][:count], largest)
        assert np.count_nonzero(kept) <= count


def test_sparse_keeps_what_real_inputs_need():
    statistics = np.diag([1.0, 1.0, 100.0]).astype(np.float32)[np.newaxis]
    codec = Sparse(Float32(), 34)
    array = np.array([[3.0], [2.0], [1.0]], np.float32)
    assert codec.decode(codec.encode(array), (3, 1)).ravel().tolist() == [3, 2, 0]
    assert codec.decode(codec.encode(array, statistics), (3, 1)).ravel().tolist() == [3, 0, 1]
    two_groups = np.array([np.diag([1.0, 1.0]), np.diag([100.0, 0.0])], np.float32)
    assert codec.decode(codec.encode(array, two_groups), (3, 1)).ravel().tolist() == [3, 0, 1]


@given(
    st.integers(0, 10_000),
    st.sampled_from([(20, 8), (8, 20), (8, 8)]),
    st.integers(1, 8),
    st.sampled_from([3, 4, 20]),
)
@FEW
def test_low_rank_is_the_nearest_of_its_rank_under_the_inputs(seed, shape, rank, size):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal(shape, np.float32)
    inputs = generator.standard_normal((60, shape[0])).astype(np.float32) * generator.uniform(
        0.1, 3, shape[0]
    ).astype(np.float32)
    # Inputs that reach one group of rows each, so that the blocks are all that there is of X^T X.
    inputs = linalg.block_diag(*np.split(inputs, range(size, shape[0], size), axis=1))
    codec = LowRank(Float32(), rank)
    decoded = codec.decode(codec.encode(matrix, in_groups(inputs, min(size, shape[0]))), shape)
    error = np.linalg.norm(inputs @ (decoded - matrix))
    # Eckart and Young: what the singular values of X W beyond the rank leave.
    least = np.sqrt((np.linalg.svd(inputs @ matrix, compute_uv=False)[rank:] ** 2).sum())
    assert error <= 1.001 * least + 1e-3
    assert np.linalg.matrix_rank(decoded, tol=1e-3) <= rank
    plain = codec.decode(codec.encode(matrix), shape)
    least = np.sqrt((np.linalg.svd(matrix, compute_uv=False)[rank:] ** 2).sum())
    assert np.linalg.norm(plain - matrix) <= 1.001 * least + 1e-3


def correlated(seed, videos, rows):
    """Inputs that go together, as those of a trained layer do."""
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((rows // 3, rows))
    noise = 0.1 * generator.standard_normal((videos, rows))
    return (generator.standard_normal((videos, rows // 3)) @ mixing + noise).astype(np.float32)


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize(("size", "share"), [(200, 0.6), (90, 0.85)])
def test_calibrated_rounding_is_nearer_on_inputs_that_it_has_not_seen(block, size, share):
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((200, 70), np.float32)
    inputs = correlated(1, 3000, 200)
    seen, unseen = inputs[:2000], inputs[2000:]
    codec = Int4(block)
    plain = codec.decode(codec.encode(matrix), matrix.shape)
    rounded = codec.decode(codec.encode(matrix, in_groups(seen, size)), matrix.shape)
    errors = [np.linalg.norm(unseen @ (values - matrix)) for values in (plain, rounded)]
    assert errors[1] < share * errors[0]


def test_calibrated_rounding_of_a_kernel_that_is_too_tall_for_whole_moments():
    rows = 4500
    groups, size, _ = moments_shape(rows)
    assert groups > 1
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((rows, 8), np.float32)
    inputs = np.concatenate([correlated(seed, 1500, 300) for seed in range(rows // 300)], axis=1)
    seen, unseen = inputs[:1000], inputs[1000:]
    codec = Int4(64)
    plain = codec.decode(codec.encode(matrix), matrix.shape)
    rounded = codec.decode(codec.encode(matrix, in_groups(seen, size)), matrix.shape)
    errors = [np.linalg.norm(unseen @ (values - matrix)) for values in (plain, rounded)]
    assert errors[1] < 0.7 * errors[0]


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 5), st.integers(1, 20))
@FEW
def test_groups_of_whole_blocks_are_rounded_each_by_itself(seed, rows, blocks, block):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((rows, 3), np.float32)
    size = blocks * block
    statistics = in_groups(correlated(seed, 100, rows), size)
    values, scales = calibrated_rounding(matrix, statistics, block, 7)
    for places, moments in row_groups(statistics, rows):
        found = calibrated_rounding(matrix[places], moments[np.newaxis], block, 7)
        np.testing.assert_array_equal(values[places], found[0])
        np.testing.assert_array_equal(scales[places.start // block : -(-places.stop // block)], found[1])


@pytest.mark.parametrize(("size", "block"), [(64, 40), (40, 64), (7, 3), (20, 200), (90, 1)])
def test_blocks_may_lie_in_several_groups(size, block):
    rows = 150
    matrix = np.random.default_rng(size).standard_normal((rows, 9), np.float32)
    statistics = in_groups(correlated(block, 400, rows), size)
    for places, moments in row_groups(statistics, rows):
        moments *= (places.stop - places.start) / np.trace(moments)  # damped alike, alone and all at once
    values, scales = calibrated_rounding(matrix, statistics, block, 7)
    expected = calibrated_rounding(matrix, on_the_diagonal(statistics, rows), block, 7)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(scales, expected[1])


def test_scales_of_blocks_are_never_worse_than_the_one_that_reaches_all():
    matrix = np.random.default_rng(0).standard_t(3, (256, 20)).astype(np.float32)
    scales = block_scales(matrix, 128, 7).astype(np.float32)
    widest = np.abs(matrix.reshape(2, 128, 20)).max(axis=1) / 7

    def error(each):
        wide = np.repeat(each, 128, axis=0)
        return ((np.clip(np.rint(matrix / wide), -7, 7) * wide - matrix) ** 2).sum()

    assert error(scales) < 0.95 * error(widest)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("int8", 8 + 32 / 256), ("int4-b32", 4.5), ("int4-b64", 4.25), ("int4-b128", 4.125)],
)
def test_bits_a_weight(name, bits):
    assert CODECS.parse(name).stored_bytes((256, 64)) * 8 / (256 * 64) == bits


@pytest.mark.parametrize("name", ["int4-b32", "int8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_names_the_place_of_what_is_not_finite(name, value):
    array = np.zeros((3, 4), np.float32)
    array[2, 1] = value
    with pytest.raises(ValueError, match=r"^\[2, 1\] = .* is not finite \(1 such values\)"):
        CODECS.parse(name).encode(array)


def test_names_what_int4_cannot_reach():
    with pytest.raises(ValueError, match=r"^\[0, 0\] = 1e\+06 is beyond int4's 458528"):
        CODECS.parse("int4-b32").encode(np.full((1, 1), 1e6, np.float32))
    largest = np.full((1, 1), 458528, np.float32)
    assert CODECS.parse("int4-b32").decode(CODECS.parse("int4-b32").encode(largest), (1, 1)) == largest
