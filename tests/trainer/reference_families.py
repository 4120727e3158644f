"""Each family written down from its equations in NumPy, in float64 and without any thought of speed.

Legend: B videos, T frames, D features of a frame, G groups, K clusters or words, H hidden size, V classes.
"""

import numpy as np

from trainer.model.architectures import Architecture
from trainer.model.architectures.chain import Chain
from trainer.model.architectures.dbof import Dbof
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.architectures.gru import Gru
from trainer.model.architectures.lstm import Lstm
from trainer.model.architectures.mlp import Mlp
from trainer.model.architectures.moe import Moe
from trainer.model.architectures.net_fv import NetFv
from trainer.model.architectures.next_vlad import NextVlad
from trainer.model.architectures.transformer import Transformer


def predict(architecture: Architecture, frames: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Probabilities [V] of one video, uint8 [T, 1152], whose frames are all real."""
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    dequantised = frames.astype(np.float64) * 4 / 255 + 4 / 512 - 2
    unit = dequantised / np.linalg.norm(dequantised, axis=1, keepdims=True)
    return _FAMILIES[type(architecture)](architecture, unit, exact, dequantised)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _l2(x, axis=None):
    return x / np.sqrt((x**2).sum(axis=axis, keepdims=axis is not None))


def _relu(x):
    return np.maximum(x, 0)


def _batch_norm(x, w, scope):
    normal = (x - w[f"{scope}/moving_mean"]) / np.sqrt(w[f"{scope}/moving_variance"] + 1e-3)
    return w[f"{scope}/gamma"] * normal + w[f"{scope}/beta"]


def _dense(x, w, scope):
    return x @ w[f"{scope}/weights"] + w[f"{scope}/biases"]


def _hidden(x, w, scope):
    return _relu(_batch_norm(x @ w[f"{scope}/weights"], w, f"{scope}/bn"))


def _experts(x, w, classes):
    gates = _softmax((x @ w["gates/weights"]).reshape(classes, -1))
    experts = _sigmoid(_dense(x, w, "experts").reshape(classes, -1))
    return (gates[:, :-1] * experts).sum(axis=1)


def _gated_experts(x, w):
    x = x * _sigmoid(_batch_norm(x @ w["gating/weights"], w, "gating/bn"))
    p = _experts(x, w, len(w["gating_prob/weights"]))
    return p * _sigmoid(_batch_norm(p @ w["gating_prob/weights"], w, "gating_prob/bn"))


def _gated_net_vlad(_, unit, w, __):
    descriptors = []
    for scope, x in (("video_vlad", unit[:, :1024]), ("audio_vlad", unit[:, 1024:])):
        shares = _softmax(_batch_norm(x @ w[f"{scope}/cluster_weights"], w, f"{scope}/bn"))
        residuals = x[:, :, np.newaxis] - w[f"{scope}/cluster_centers"]  # [T, D, K]
        vlad = (shares[:, np.newaxis, :] * residuals).sum(axis=0)
        descriptors.append(_l2(_l2(vlad, axis=0).ravel()))
    hidden = np.concatenate(descriptors) @ w["hidden1/weights"]
    hidden = np.clip(_batch_norm(hidden, w, "hidden1/bn"), 0, 6)
    return _gated_experts(_dense(hidden, w, "hidden2"), w)


def _next_vlad(architecture, unit, w, dequantised):
    x = unit if architecture.normalised else dequantised
    descriptors = []
    sides = (("video_vlad", x[:, :1024], 1), ("audio_vlad", x[:, 1024:], 2))
    for scope, values, fraction in sides:
        groups, clusters = architecture.groups // fraction, architecture.cluster_size // fraction
        centers = w[f"{scope}/cluster_centers"][0]
        vlad = np.zeros_like(centers)
        for frame in values:
            wide = _dense(frame, w, f"{scope}/expansion")
            attention = _sigmoid(_dense(wide, w, f"{scope}/attention"))
            logits = _batch_norm(wide @ w[f"{scope}/cluster_weights"], w, f"{scope}/bn")
            shares = _softmax(logits.reshape(groups, clusters))
            for group, part in enumerate(wide.reshape(groups, -1)):
                vlad += attention[group] * shares[group] * (part[:, np.newaxis] - centers)
        descriptors.append(_batch_norm(_l2(vlad, axis=0).ravel(), w, f"{scope}/vlad/bn"))
    hidden = _batch_norm(np.concatenate(descriptors) @ w["hidden1/weights"], w, "hidden1/bn")
    squeezed = _relu(_batch_norm(hidden @ w["squeeze/weights"], w, "squeeze/bn"))
    return _sigmoid(_dense(hidden * _sigmoid(squeezed @ w["excite/weights"]), w, "classes"))


def _net_fv(_, unit, w, __):
    x = _batch_norm(unit, w, "frame/bn")
    vectors = []
    for scope, values in (("video_fv", x[:, :1024]), ("audio_fv", x[:, 1024:])):
        centers, sigma = w[f"{scope}/cluster_centers"], w[f"{scope}/deviations"] ** 2 + 1e-6
        first, second = np.zeros_like(centers), np.zeros_like(centers)
        for frame in values:
            shares = _softmax(_batch_norm(frame @ w[f"{scope}/cluster_weights"], w, f"{scope}/bn"))
            residuals = (frame[:, np.newaxis] - centers) / sigma
            first += shares * residuals
            second += shares * (residuals**2 - 1)
        vectors += [_l2(_l2(first, axis=0).ravel()), _l2(_l2(second, axis=0).ravel())]
    hidden = np.clip(_batch_norm(np.concatenate(vectors) @ w["hidden1/weights"], w, "hidden1/bn"), 0, 6)
    return _gated_experts(hidden, w)


def _dbof(_, unit, w, __):
    bags = []
    for scope, x in (("video_bag", unit[:, :1024]), ("audio_bag", unit[:, 1024:])):
        words = _softmax(_batch_norm(x @ w[f"{scope}/words/weights"], w, f"{scope}/bn"))
        gates = _l2(words.max(axis=0)) @ w[f"{scope}/gate1/weights"] @ w[f"{scope}/gate2/weights"]
        bags.append(_l2(words.sum(axis=0) * _sigmoid(_batch_norm(gates, w, f"{scope}/gate/bn"))))
    hidden = np.clip(_batch_norm(np.concatenate(bags) @ w["hidden1/weights"], w, "hidden1/bn"), 0, 6)
    return _gated_experts(hidden, w)


def _gru(architecture, unit, w, _):
    size, sequence = architecture.hidden_size, list(unit)
    for layer in range(1, architecture.num_layers + 1):
        state, states = np.zeros(size), []
        for x in sequence:
            to_gates, to_new = np.split(x @ w[f"layer{layer}/inputs/weights"], [2 * size])
            gates = _sigmoid(to_gates + _dense(state, w, f"layer{layer}/gates"))
            reset, update = gates[:size], gates[size:]
            new = np.tanh(to_new + _dense(reset * state, w, f"layer{layer}/candidate"))
            state = update * state + (1 - update) * new
            states.append(state)
        sequence = states
    return _gated_experts(state, w)


def _lstm(architecture, unit, w, _):
    size, sequence = architecture.hidden_size, list(unit)
    for layer in range(1, architecture.num_layers + 1):
        state, cell, states = np.zeros(size), np.zeros(size), []
        for x in sequence:
            four = _dense(x, w, f"layer{layer}/inputs") + state @ w[f"layer{layer}/recurrent/weights"]
            entry, new, forget, output = np.split(four, 4)
            cell = _sigmoid(forget + 1) * cell + _sigmoid(entry) * np.tanh(new)
            state = _sigmoid(output) * np.tanh(cell)
            states.append(state)
        sequence = states
    return _gated_experts(state, w)


def _layer_norm(x, w, scope):
    normal = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return w[f"{scope}/gamma"] * normal + w[f"{scope}/beta"]


def _transformer(architecture, unit, w, _):
    length, width = len(unit), architecture.hidden_size
    x = _dense(unit, w, "input")
    for time in range(length):
        place = 300 * (time + 0.5) / length
        for wave in range(width // 2):
            angle = place / 10_000 ** (2 * wave / width)
            x[time, wave] += np.sin(angle)
            x[time, width // 2 + wave] += np.cos(angle)
    for layer in (f"layer{number}" for number in range(1, architecture.num_layers + 1)):
        three = _dense(_layer_norm(x, w, f"{layer}/norm1"), w, f"{layer}/query_key_value")
        queries, keys, values = np.split(three, 3, axis=1)
        mixed = np.zeros_like(queries)
        for head in np.split(np.arange(width), architecture.heads):
            shares = _softmax(queries[:, head] @ keys[:, head].T / np.sqrt(len(head)))
            mixed[:, head] = shares @ values[:, head]
        x = x + _dense(mixed, w, f"{layer}/attention")
        inner = _relu(_dense(_layer_norm(x, w, f"{layer}/norm2"), w, f"{layer}/expand"))
        x = x + _dense(inner, w, f"{layer}/contract")
    return _gated_experts(_layer_norm(x, w, "norm").mean(axis=0), w)


def _mlp(_, unit, w, __):
    return _sigmoid(_dense(_hidden(unit.mean(axis=0), w, "hidden"), w, "classes"))


def _moe(architecture, unit, w, _):
    classes = len(w["experts/biases"]) // architecture.num_mixtures
    return _experts(_hidden(unit.mean(axis=0), w, "hidden"), w, classes)


def _chain(architecture, unit, w, _):
    said = []
    for stage in (f"stage{number}" for number in range(1, architecture.num_stages + 1)):
        views = [_relu(_dense(p, w, f"{stage}/view{earlier}")) for earlier, p in enumerate(said, 1)]
        hidden = _hidden(np.concatenate([unit.mean(axis=0), *views]), w, f"{stage}/hidden")
        said.append(_sigmoid(_dense(hidden, w, f"{stage}/classes")))
    return said[-1]


_FAMILIES = {
    GatedNetVlad: _gated_net_vlad,
    NextVlad: _next_vlad,
    NetFv: _net_fv,
    Dbof: _dbof,
    Gru: _gru,
    Lstm: _lstm,
    Transformer: _transformer,
    Mlp: _mlp,
    Moe: _moe,
    Chain: _chain,
}
