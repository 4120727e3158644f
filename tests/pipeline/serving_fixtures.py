"""Fixtures of the tests of the verbs that serve and predict: models, and a file of videos."""

import numpy as np
import pytest
import tensorflow as tf

from serving.store import model_store
from tests.records import random_example
from tests.serving.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two served versions, of which the second scores twice as much."""
    directory = tmp_path_factory.mktemp("models")
    for factor in (1.0, 2.0):
        source = write_tiny_model(str(directory / f"source{factor}"), factor)
        model_store.publish(source, str(directory / "served"))
    return str(directory / "served")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[bytes]]:
    """A file of 40 videos with a bad record among them, and the videos as they stand there."""
    path = str(tmp_path_factory.mktemp("data") / "shard.tfrecord")
    generator = np.random.default_rng(0)
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(40):
            writer.write(random_example(generator, 1 + number % 3, (5, 7), b"v%02d" % number))
            if number == 3:
                writer.write(b"no record")
    return path, [f"v{number:02d}".encode() for number in range(40)]
