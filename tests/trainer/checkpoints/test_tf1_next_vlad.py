"""Checkpoints of NeXtVLAD's authors: their names, their input, and their network written down by those names."""

import numpy as np
import pytest

from tests.trainer.checkpoints.test_tf1_checkpoint import assert_equal, save
from trainer.base.errors import UserError
from trainer.checkpoints.tf1_checkpoint import read_eigenvalues, read_tf1_checkpoint
from trainer.checkpoints.tf1_names import NEXT_VLAD_NAMES
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES, GROUPS, CLUSTERS, HIDDEN, SQUEEZED = 11, 4, 6, 8, 4
SPEC = ModelSpec.parse("NeXtVLAD-G4-K6-H8-R2-N0", CLASSES)
NORMALISED = ModelSpec.parse("NeXtVLAD-G4-K6-H8-R2", CLASSES)


def norm(scope, width):
    return {f"{scope}/{name}": (width,) for name in ("beta", "gamma", "moving_mean", "moving_variance")}


def side(scope, width, groups, clusters):
    """Variables of one NeXtVLAD in linrongc/youtube-8m, nextvlad.py, with their shapes."""
    wide = 2 * width
    return {
        f"{scope}/fully_connected/weights": (width, wide),
        f"{scope}/fully_connected/biases": (wide,),
        f"{scope}/fully_connected_1/weights": (wide, groups),
        f"{scope}/fully_connected_1/biases": (groups,),
        f"{scope}/cluster_weights": (wide, groups * clusters),
        **norm(f"{scope}/cluster_bn", groups * clusters),
        f"{scope}/cluster_weights2": (1, wide // groups, clusters),
        **norm(f"{scope}/vlad_bn", wide // groups * clusters),
    }


def shapes(video="video_VLAD", audio="audio_VLAD"):
    descriptors = 2048 // GROUPS * CLUSTERS + 256 // (GROUPS // 2) * (CLUSTERS // 2)
    return {
        **side(video, 1024, GROUPS, CLUSTERS),
        **side(audio, 128, GROUPS // 2, CLUSTERS // 2),
        "hidden1_weights": (descriptors, HIDDEN),
        **norm("hidden1_bn", HIDDEN),
        "gating_weights_1": (HIDDEN, SQUEEZED),
        **norm("gating_bn", SQUEEZED),
        "gating_weights_2": (SQUEEZED, HIDDEN),
        "fully_connected/weights": (HIDDEN, CLASSES),
        "fully_connected/biases": (CLASSES,),
    }


def variables(scope, names=None, seed=0):
    """As after training."""
    generator = np.random.default_rng(seed)
    return {
        scope + name: (
            generator.uniform(0.5, 1.5, shape)
            if "_bn/" in name
            else generator.normal(0, np.sqrt(2 / shape[-2] if len(shape) > 1 else 0.1), shape)
        ).astype(np.float32)
        for name, shape in (names or shapes()).items()
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def literal(w, frames, eigenvalues):
    """Their eval.py and nextvlad.py for one video, uint8 [T, 1152], in float64."""
    w = {name: value.astype(np.float64) for name, value in w.items()}

    def bn(x, scope):
        normal = (x - w[f"{scope}/moving_mean"]) / np.sqrt(w[f"{scope}/moving_variance"] + 0.001)
        return normal * w[f"{scope}/gamma"] + w[f"{scope}/beta"]

    raw = frames * (4 / 255) + (4 / 512 - 2)
    rgb = (raw[:, :1024] - 4 / 512) * (np.sqrt(eigenvalues) + 1e-4)
    vectors = []
    for scope, x, groups in (
        ("tower/video_VLAD", rgb, GROUPS),
        ("tower/audio_VLAD", raw[:, 1024:], GROUPS // 2),
    ):
        wide = x @ w[f"{scope}/fully_connected/weights"] + w[f"{scope}/fully_connected/biases"]
        attention = sigmoid(
            wide @ w[f"{scope}/fully_connected_1/weights"] + w[f"{scope}/fully_connected_1/biases"]
        )
        activation = bn(wide @ w[f"{scope}/cluster_weights"], f"{scope}/cluster_bn")
        activation = np.exp(activation.reshape(len(frames) * groups, -1))
        activation /= activation.sum(axis=1, keepdims=True)
        activation *= attention.reshape(-1, 1)
        vlad = wide.reshape(len(frames) * groups, -1).T @ activation
        vlad -= activation.sum(axis=0) * w[f"{scope}/cluster_weights2"][0]
        vlad /= np.linalg.norm(vlad, axis=0)
        vectors.append(bn(vlad.ravel(), f"{scope}/vlad_bn"))
    hidden = bn(np.concatenate(vectors) @ w["tower/hidden1_weights"], "tower/hidden1_bn")
    gates = np.maximum(bn(hidden @ w["tower/gating_weights_1"], "tower/gating_bn"), 0)
    hidden = hidden * sigmoid(gates @ w["tower/gating_weights_2"])
    return sigmoid(hidden @ w["tower/fully_connected/weights"] + w["tower/fully_connected/biases"])


@pytest.fixture
def eigenvalues(tmp_path):
    """As they lie beside their code: more than are used, in one column; the largest is about 15."""
    values = (15 / np.arange(1, 2049) ** 1.1).astype(np.float32)[:, np.newaxis]
    np.save(tmp_path / "eigenvals.npy", values)
    return read_eigenvalues(str(tmp_path / "eigenvals.npy"))


def test_the_model_answers_as_their_network_does(tmp_path, eigenvalues):
    theirs = variables("tower/")
    slots = {f"{name}/Adam": np.ones_like(value) for name, value in theirs.items() if "moving" not in name}
    prefix = save(str(tmp_path / "model.ckpt-7"), theirs | slots | {"global_step": np.int64(7)})
    weights = read_tf1_checkpoint(prefix, SPEC, eigenvalues=eigenvalues)
    frames = np.random.default_rng(1).integers(0, 256, (3, 5, 1152), np.uint8)
    expected = [literal(theirs, video, eigenvalues) for video in frames]
    result = SPEC.architecture.forward(dequantize(frames), None, weights)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_branch_of_their_mixture_is_a_member(tmp_path, eigenvalues):
    branches = [
        variables(f"tower/branch_{index}/", shapes("video_vlad", "audio_vlad"), seed=index)
        for index in range(2)
    ]
    mixture = {"tower/mix_weights/weights": np.ones((1152, 2), np.float32)}
    prefix = save(str(tmp_path / "mixture"), branches[0] | branches[1] | mixture)
    found = read_tf1_checkpoint(prefix, NORMALISED, 1)
    np.testing.assert_array_equal(
        found["audio_vlad/expansion/weights"],
        branches[1]["tower/branch_1/audio_vlad/fully_connected/weights"],
    )
    np.testing.assert_array_equal(
        found["classes/biases"], branches[1]["tower/branch_1/fully_connected/biases"]
    )
    with pytest.raises(UserError, match=r"several models: choose one by --member. It holds the members 0, 1"):
        read_tf1_checkpoint(prefix, SPEC, eigenvalues=eigenvalues)


def test_without_their_input_the_weights_are_as_stored(tmp_path):
    weights = initial_weights(NORMALISED, 3)
    prefix = save(
        str(tmp_path / "ckpt"), {f"tower/{NEXT_VLAD_NAMES[name]}": value for name, value in weights.items()}
    )
    assert_equal(read_tf1_checkpoint(prefix, NORMALISED), weights)


def test_what_does_not_fit_is_said(tmp_path, eigenvalues):
    theirs = variables("tower/")
    prefix = save(str(tmp_path / "ckpt"), theirs)
    with pytest.raises(UserError, match=r"give its file yt8m_pca/eigenvals\.npy by --eigenvalues"):
        read_tf1_checkpoint(prefix, SPEC)
    with pytest.raises(UserError, match=r"is for NeXtVLAD on frames that are not normalised.*leave it out"):
        read_tf1_checkpoint(prefix, NORMALISED, eigenvalues=eigenvalues)
    with pytest.raises(UserError, match=r"Gated NetVLAD and NeXtVLAD alone.*Received: MLP-H8"):
        read_tf1_checkpoint(prefix, ModelSpec.parse("MLP-H8", CLASSES))
    with pytest.raises(UserError, match=r"gating_weights_1 must have shape \(8, 2\)"):
        read_tf1_checkpoint(
            prefix, ModelSpec.parse("NeXtVLAD-G4-K6-H8-R4-N0", CLASSES), eigenvalues=eigenvalues
        )
    del theirs["tower/video_VLAD/fully_connected_1/biases"]
    prefix = save(str(tmp_path / "less"), theirs)
    with pytest.raises(UserError, match="tower/video_VLAD/fully_connected_1/biases is missing"):
        read_tf1_checkpoint(prefix, SPEC, eigenvalues=eigenvalues)


@pytest.mark.parametrize(
    ("values", "what"), [(np.ones(7), "at least 1024 numbers"), (-np.ones(1024), "not negative")]
)
def test_eigenvalues_are_checked(tmp_path, values, what):
    np.save(tmp_path / "e.npy", values)
    with pytest.raises(UserError, match=what):
        read_eigenvalues(str(tmp_path / "e.npy"))
    with pytest.raises(UserError, match="cannot be read"):
        read_eigenvalues(str(tmp_path / "none.npy"))
