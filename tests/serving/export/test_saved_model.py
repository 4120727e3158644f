"""SavedModels: the same answers everywhere, stored small, and bad rows named."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from serving.export.saved_model import Member, read_stored, read_weights, write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.server.models.servable import Servable
from serving.store import model_store
from tests.records import random_example, random_frames, sequence_example
from tests.serving.c_api import run_c_api
from trainer.base.errors import UserError
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 40


def make_member(name: str, seed: int, weight: float = 1.0, compress: bool = True) -> Member:
    spec = ModelSpec.parse(name, CLASSES)
    weights = initial_weights(spec, seed)
    if compress:
        for tensor in spec.tensors:
            if tensor.compressible:
                weights[tensor.name] = weights[tensor.name].astype(np.float16)
    return Member(
        spec=spec, weights=weights, weight=weight, gap=0.5, first_step=10, last_step=30, snapshots=3
    )


@pytest.fixture(scope="module")
def members():
    return [make_member("K4-H8", 1, 0.6), make_member("K3-H6", 2, 0.4)]


@pytest.fixture(scope="module")
def model_dir(members, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("model") / "saved")
    write_saved_model(directory, members, gap=0.75)
    return directory


@pytest.fixture(scope="module")
def model(model_dir):
    return tf.saved_model.load(model_dir)


@pytest.fixture(scope="module")
def videos():
    generator = np.random.default_rng(0)
    return [random_frames(generator, count) for count in (3, 1, 7, 5)]


@pytest.fixture(scope="module")
def examples(videos):
    return [sequence_example(*frames) for frames in videos]


def dense(model, examples):
    return model.signatures["predictions"](examples=tf.constant(examples))["predictions"].numpy()


def test_prediction_is_the_weighted_sum_of_the_members(model, members, videos, examples):
    expected = np.zeros((len(videos), CLASSES))
    for row, (rgb, audio) in enumerate(videos):
        frames = np.stack([np.frombuffer(r + a, np.uint8) for r, a in zip(rgb, audio, strict=True)])
        for member in members:
            weights = {name: tf.constant(value, tf.float32) for name, value in member.weights.items()}
            expected[row] += (
                member.weight
                * member.spec.architecture.forward(dequantize(frames[np.newaxis]), None, weights).numpy()[0]
            )
    np.testing.assert_allclose(dense(model, examples), expected, atol=1e-6)


def test_the_four_signatures_agree(model, videos, examples):
    scores = dense(model, examples)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    top = model.signatures["serving_default"](examples=tf.constant(examples))
    assert top["classes"].dtype == tf.int64
    assert np.array_equal(top["classes"], order)
    np.testing.assert_allclose(top["scores"], np.take_along_axis(scores, order, 1))
    longest = max(len(rgb) for rgb, _ in videos)
    rgb = np.full((len(videos), longest, 1024), 77, np.uint8)  # Padding of any value.
    audio = np.full((len(videos), longest, 128), 99, np.uint8)
    for row, (r, a) in enumerate(videos):
        rgb[row, : len(r)] = np.frombuffer(b"".join(r), np.uint8).reshape(-1, 1024)
        audio[row, : len(a)] = np.frombuffer(b"".join(a), np.uint8).reshape(-1, 128)
    counts = np.array([len(r) for r, _ in videos], np.int32)
    frames = {"rgb": tf.constant(rgb), "audio": tf.constant(audio), "num_frames": tf.constant(counts)}
    framed = model.signatures["predict_frames"](**frames)
    np.testing.assert_allclose(framed["scores"], top["scores"], atol=1e-6)
    of_frames = model.signatures["frame_predictions"](**frames)
    np.testing.assert_allclose(of_frames["predictions"], scores, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch_mates(model, examples):
    together = dense(model, examples)
    for row, example in enumerate(examples):
        np.testing.assert_allclose(dense(model, [example])[0], together[row], atol=1e-6)


def test_frames_after_the_300th_do_not_count(model):
    rgb, audio = random_frames(np.random.default_rng(0), 302)
    cut = sequence_example(rgb[:300], audio[:300])
    np.testing.assert_allclose(dense(model, [sequence_example(rgb, audio)]), dense(model, [cut]), atol=1e-6)


BAD_ROWS = {
    "no frames": (sequence_example([], []), "has no frames"),
    "nothing at all": (b"", "has no frames"),
    "unequal": (sequence_example([bytes(1024)] * 2, [bytes(128)]), "differ in their number of frames"),
    "short rgb": (sequence_example([bytes(1024), bytes(1023)], [bytes(128)] * 2), "rgb has not 1024 bytes"),
    "long audio": (sequence_example([bytes(1024)], [bytes(129)]), "audio has not 128 bytes"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
@pytest.mark.parametrize("row", [0, 2])
def test_a_bad_row_is_refused_by_its_number(model, examples, kind, row):
    bad, message = BAD_ROWS[kind]
    batch = list(examples)
    batch[row] = bad
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as error:
        dense(model, batch)
    assert f"in row] [{row}]" in str(error.value)


def test_a_batch_of_none_has_no_answers(model):
    assert dense(model, np.array([], object)).shape == (0, CLASSES)


def test_bytes_that_are_no_proto_are_an_invalid_argument(model, examples):
    with pytest.raises(tf.errors.InvalidArgumentError):
        dense(model, [examples[0], b"\xff\xff\xff"])


@pytest.mark.parametrize(
    ("frames", "audio_frames", "counts"), [(3, 3, [0]), (3, 3, [4]), (3, 2, [2]), (3, 3, [1, 1])]
)
@pytest.mark.parametrize("signature", ["predict_frames", "frame_predictions"])
def test_dense_inputs_that_do_not_fit_are_refused(model, signature, frames, audio_frames, counts):
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_frames"):
        model.signatures[signature](
            rgb=tf.zeros([1, frames, 1024], tf.uint8),
            audio=tf.zeros([1, audio_frames, 128], tf.uint8),
            num_frames=tf.constant(counts, tf.int32),
        )


def test_the_card_says_what_is_stored(model_dir, members):
    card = ModelCard.load(model_dir)
    assert (card.num_classes, card.gap) == (CLASSES, 0.75)
    assert [member.variant for member in card.members] == ["K4-H8", "K3-H6"]
    assert [member.bytes for member in card.members] == [
        stored_bytes(member.spec, FLOAT16) for member in members
    ]
    assert card.bytes == sum(member.bytes for member in card.members)
    dtypes = {tensor.name: tensor.encoding for tensor in card.members[0].tensors}
    assert len(dtypes) == 32
    assert sorted(name for name, dtype in dtypes.items() if dtype == "float16") == [
        "experts/weights",
        "gates/weights",
        "gating_prob/weights",
        "hidden1/weights",
    ]


def test_weights_are_read_back_as_they_were_stored(model_dir, members):
    for index, member in enumerate(members):
        restored, decoded = read_stored(model_dir, index), read_weights(model_dir, index)
        assert restored.keys() == member.weights.keys()
        for name, value in member.weights.items():
            assert restored[name].codec.name == value.dtype.name
            assert np.array_equal(restored[name].parts["values"], value)
            assert decoded[name].dtype == np.float32
            assert np.array_equal(decoded[name], value.astype(np.float32))


def test_a_directory_that_is_no_model_of_ours(tmp_path):
    with pytest.raises(UserError, match="is not a model of this project"):
        ModelCard.load(str(tmp_path))


def test_a_member_that_lacks_a_tensor_is_refused(tmp_path):
    member = make_member("K4-H8", 1)
    del member.weights["hidden2/biases"]
    with pytest.raises(ValueError, match="hidden2/biases is missing"):
        write_saved_model(str(tmp_path / "m"), [member])


@pytest.mark.slow
def test_it_loads_with_nothing_but_tensorflow_also_as_version_1(model_dir, model, examples, tmp_path):
    """In a process that cannot import our code; twice, since a second load must not disturb the first."""
    (tmp_path / "examples").write_bytes(json.dumps([example.hex() for example in examples]).encode())
    script = textwrap.dedent(f"""
        import json, sys
        sys.path = [path for path in sys.path if path not in ("", {str(sys.path[0])!r})]
        sys.meta_path = [f for f in sys.meta_path if "__editable__" not in getattr(f, "__module__", repr(f))]
        try:
            import trainer
        except ImportError:
            pass
        else:
            raise SystemExit("our code is importable")
        import numpy as np, tensorflow as tf
        examples = [bytes.fromhex(e) for e in json.load(open({str(tmp_path / "examples")!r}))]
        first, second = (tf.saved_model.load({model_dir!r}) for _ in range(2))
        answer = first.signatures["predictions"](examples=tf.constant(examples))["predictions"]
        np.save({str(tmp_path / "v2.npy")!r}, answer)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            graph = tf.compat.v1.saved_model.load(session, ["serve"], {model_dir!r})
            signature = graph.signature_def["predictions"]
            nodes = [*graph.graph_def.node, *(n for f in graph.graph_def.library.function for n in f.node_def)]
            numeric = [n for n in nodes if n.op == "Const" and n.attr["dtype"].type != tf.string.as_datatype_enum]
            assert max(n.ByteSize() for n in numeric) < 1000, "a weight is a constant of the graph"
            feed = {{signature.inputs["examples"].name: examples}}
            np.save({str(tmp_path / "v1.npy")!r}, session.run(signature.outputs["predictions"].name, feed))
        """)
    subprocess.run([sys.executable, "-I", "-c", script], check=True, timeout=300, cwd=tmp_path)
    expected = dense(model, examples)
    for version in ("v1", "v2"):
        np.testing.assert_allclose(np.load(tmp_path / f"{version}.npy"), expected, atol=1e-6)


def test_one_member_without_compression_answers_like_float16_to_its_precision(tmp_path, model_dir):
    example = random_example(np.random.default_rng(5), 4)
    answers = []
    for compress in (False, True):
        directory = str(tmp_path / str(compress))
        write_saved_model(directory, [make_member("K4-H8", 1, compress=compress)])
        answers.append(dense(tf.saved_model.load(directory), [example]))
    np.testing.assert_allclose(answers[0], answers[1], atol=2e-3)
    assert not np.array_equal(answers[0], answers[1])


@pytest.fixture(scope="module")
def labelled_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("labelled") / "saved")
    names = {0: 'Game, the "big" one', 1: "two\nlines", CLASSES - 1: "Über", CLASSES + 5: "of no class here"}
    write_saved_model(directory, [make_member("K2-H3", 1)], vocabulary=Vocabulary(names))
    return directory


NAMES = [
    'Game, the "big" one',
    "two lines",
    *(f"class {index}" for index in range(2, CLASSES - 1)),
    "Über",
]


def test_baked_in_names_come_back_as_labels(labelled_dir, examples):
    assert Vocabulary.load(f"{labelled_dir}/assets/vocabulary.csv").names == dict(enumerate(NAMES))
    model = tf.saved_model.load(labelled_dir)
    answer = model.signatures["serving_default"](examples=tf.constant(examples))
    assert set(answer) == {"classes", "scores", "labels"}
    expected = [[NAMES[index] for index in row] for row in answer["classes"].numpy()]
    assert [[name.decode() for name in row] for row in answer["labels"].numpy()] == expected
    assert set(model.signatures["predict_frames"].structured_outputs) == {"classes", "scores", "labels"}
    assert set(model.signatures["predictions"].structured_outputs) == {"predictions"}


def test_a_model_with_names_moves_and_is_served(labelled_dir, examples, tmp_path):
    base = str(tmp_path)
    moved = model_store.publish(labelled_dir, base).path
    servable = Servable(moved, "m", 1)
    signature = servable.signatures["serving_default"]
    fetches = [signature.outputs[alias].name for alias in ("classes", "labels")]
    feeds = {signature.inputs["examples"].name: np.array(examples, object)}
    classes, labels = servable.run(feeds, fetches)
    servable.close()
    assert [[name.decode() for name in row] for row in labels] == [
        [NAMES[index] for index in row] for row in classes
    ]
    # The loader of TensorFlow Serving takes the asset's path from the directory that it loads.
    assert run_c_api(moved, "serving_default", examples, "classes")["outputs"] == [classes.tobytes().hex()]
