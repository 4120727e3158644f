"""A kernel in blocks of rows gives what the whole kernel gives."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.model.kernel_blocks import KernelBlocks
from trainer.model.layers import matmul


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 7)])
def test_the_product_is_that_of_the_whole_kernel(rows, shape):
    generator = np.random.default_rng(0)
    kernel, x = (generator.standard_normal(size).astype(np.float32) for size in ((7, 5), shape))
    blocks = KernelBlocks(kernel, rows)
    np.testing.assert_allclose(matmul(tf.constant(x), blocks), x @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(tf.transpose(blocks), kernel.T)
    np.testing.assert_array_equal(blocks[1:3], kernel[1:3])
    assert blocks.shape == (7, 5)
    assert len(blocks.variables) == -(-7 // rows)
