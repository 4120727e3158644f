"""What public TensorFlow 1 code calls the tensors of its models. Layouts are ours, so nothing is transposed."""

from collections.abc import Mapping


def _with_batch_norms(names: dict[str, str], batch_norms: Mapping[str, str]) -> dict[str, str]:
    for ours, theirs in batch_norms.items():
        for name in ("beta", "gamma", "moving_mean", "moving_variance"):
            names[f"{ours}/{name}"] = f"{theirs}/{name}"
    return names


def _gated_net_vlad() -> dict[str, str]:
    names = {
        "hidden1/weights": "hidden1_weights/hidden1_weights",
        "hidden2/weights": "hidden2_weights/hidden2_weights",
        "hidden2/biases": "hidden2_biases",
        "gating/weights": "gating_weights/gating_weights",
        "gates/weights": "gates/weights",
        "experts/weights": "experts/weights",
        "experts/biases": "experts/biases",
        "gating_prob/weights": "gating_prob_weights",
    }
    batch_norms = {"hidden1/bn": "hidden1_bn", "gating/bn": "gating_bn", "gating_prob/bn": "gating_prob_bn"}
    for ours, theirs in (("video_vlad", "video_VLAD"), ("audio_vlad", "audio_VLAD")):
        names[f"{ours}/cluster_weights"] = f"{theirs}/conv2/cluster_weights"
        names[f"{ours}/cluster_centers"] = f"{theirs}/cluster_weights2/cluster_weights2"
        batch_norms[f"{ours}/bn"] = f"{theirs}/cluster_bn"  # beside conv2, not in it
    return _with_batch_norms(names, batch_norms)


def _next_vlad(scopes: Mapping[str, str]) -> dict[str, str]:
    """Args: scopes: Ours to theirs, of the two sides."""
    names = {
        "hidden1/weights": "hidden1_weights",
        "squeeze/weights": "gating_weights_1",
        "excite/weights": "gating_weights_2",
        "classes/weights": "fully_connected/weights",
        "classes/biases": "fully_connected/biases",
    }
    batch_norms = {"hidden1/bn": "hidden1_bn", "squeeze/bn": "gating_bn"}
    for ours, theirs in scopes.items():
        for layer, scope in (("expansion", "fully_connected"), ("attention", "fully_connected_1")):
            names |= {f"{ours}/{layer}/{part}": f"{theirs}/{scope}/{part}" for part in ("weights", "biases")}
        names[f"{ours}/cluster_weights"] = f"{theirs}/cluster_weights"
        names[f"{ours}/cluster_centers"] = f"{theirs}/cluster_weights2"
        batch_norms |= {f"{ours}/bn": f"{theirs}/cluster_bn", f"{ours}/vlad/bn": f"{theirs}/vlad_bn"}
    return _with_batch_norms(names, batch_norms)


TF1_NAMES: Mapping[str, str] = _gated_net_vlad()
"""Names of the 32 tensors of a Gated NetVLAD below their scope `tower/` (a single model, an ensemble's first) or
`tower/model<i>/`, in the checkpoints of the paper's code.
"""

NEXT_VLAD_NAMES: Mapping[str, str] = _next_vlad({"video_vlad": "video_VLAD", "audio_vlad": "audio_VLAD"})
"""Names of the tensors of a NeXtVLAD below `tower/`, in the checkpoints of its authors' code
(https://github.com/linrongc/youtube-8m: nextvlad.py, NeXtVLADModel, with video_level_models.py, LogisticModel).
"""

BRANCH_NAMES: Mapping[str, str] = _next_vlad({"video_vlad": "video_vlad", "audio_vlad": "audio_vlad"})
"""The same for a branch of their MixNeXtVladModel, below `tower/branch_<i>/`."""
