"""All families in one ensemble, which TensorFlow alone loads and answers with."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from serving.export.codecs import FLOAT16
from serving.export.compression import compress
from serving.export.saved_model import Member, write_saved_model
from tests.records import random_frames, sequence_example
from tests.trainer.model.test_architectures import CLASSES, NAMES, weights_of
from tests.trainer.reference_families import predict
from trainer.model.model_spec import ModelSpec


@pytest.mark.slow
def test_tensorflow_alone_answers_as_the_literal_equations_of_all_members(tmp_path):
    generator = np.random.default_rng(0)
    specs = [ModelSpec.parse(name, CLASSES) for name in NAMES if not name.startswith("Stages")]
    shares = generator.dirichlet(np.ones(len(specs))) + 0.05
    members = [
        Member(spec=spec, weights=compress(spec, weights_of(spec), FLOAT16), weight=float(share))
        for spec, share in zip(specs, shares, strict=True)
    ]
    write_saved_model(str(tmp_path / "model"), members)
    videos = [random_frames(generator, count) for count in (3, 1, 7)]
    np.save(tmp_path / "examples.npy", np.array([sequence_example(*video) for video in videos], object))
    script = textwrap.dedent("""
        import sys
        import numpy as np
        import tensorflow as tf
        model = tf.saved_model.load("model")
        examples = tf.constant(list(np.load("examples.npy", allow_pickle=True)))
        np.save("answers.npy", model.signatures["predictions"](examples=examples)["predictions"])
        assert "trainer" not in sys.modules
    """)
    subprocess.run([sys.executable, "-I", "-c", script], check=True, timeout=300, cwd=tmp_path)
    frames = [
        np.stack([np.frombuffer(r + a, np.uint8) for r, a in zip(rgb, audio, strict=True)])
        for rgb, audio in videos
    ]
    decoded = [{name: value.decode() for name, value in member.encoded().items()} for member in members]
    expected = [
        sum(
            member.weight * predict(member.spec.architecture, video, weights)
            for member, weights in zip(members, decoded, strict=True)
        )
        for video in frames
    ]
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), expected, atol=1e-5)
