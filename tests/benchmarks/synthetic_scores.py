"""Scores of models that do not exist, for the assembler: about the paper's GAPs, with errors partly of their own.

Legend: B videos of a block, V classes, C candidates: the classes of a video that some model could score high.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from trainer.data.yt8m import NUM_CLASSES

_BLOCK = 512
_CANDIDATES = 40
_STRIDE = 89
"""Between the candidates of a video; has no factor in common with V, so they are distinct."""
_LABELS = 3
_LABEL, _OTHER = 0.65, -4.0
"""Mean logits of labels and of the other candidates."""
_COMMON, _BEST, _WORST = 1.5, 0.35, 0.45
"""Standard deviations of the logits: what all models make of a video alike, and the best and the worst alone."""


def write_scores(
    directory: str, members: int, videos: int, seed: int = 0, forms: Sequence[float] = (0.0,)
) -> EvalScores:
    """Scores of so many models, best first, and labels, in files of a directory.

    Args:
        directory: Of the files.
        members: Number of models.
        videos: Number of videos.
        seed: Of all that is random.
        forms: For each stored form of a model what it adds to the logits, as a standard deviation. The forms of a model
            follow each other.
    """
    generator = np.random.default_rng(seed)
    noises = np.linspace(_BEST, _WORST, members)
    count_files = members * len(forms)
    paths = [
        os.path.join(directory, name) for name in ("labels", *(f"scores-{i}" for i in range(count_files)))
    ]
    with ExitStack() as stack:
        labels_file, *score_files = [stack.enter_context(open(path, "wb")) for path in paths]
        for start in range(0, videos, _BLOCK):
            count = min(_BLOCK, videos - start)
            candidates = generator.integers(0, NUM_CLASSES, (count, 1)) + _STRIDE * np.arange(_CANDIDATES)
            candidates %= NUM_CLASSES
            labels = np.zeros((count, NUM_CLASSES), np.bool_)
            np.put_along_axis(labels, candidates[:, :_LABELS], True, 1)
            labels.tofile(labels_file)
            means = np.where(np.arange(_CANDIDATES) < _LABELS, _LABEL, _OTHER)
            common = means + generator.normal(0, _COMMON, candidates.shape)
            scores = generator.random((count, NUM_CLASSES), np.float32) * np.float32(1e-4)
            files = iter(score_files)
            for noise in noises:
                own = common + generator.normal(0, noise, candidates.shape)
                for form in forms:
                    logits = own + generator.normal(0, form, candidates.shape) if form else own
                    np.put_along_axis(scores, candidates, (1 / (1 + np.exp(-logits))).astype(np.float32), 1)
                    scores.tofile(next(files))
    labels, *scores = [
        ScoreFile(path, videos, NUM_CLASSES, dtype)
        for path, dtype in zip(paths, [np.bool_, *[np.float32] * count_files], strict=True)
    ]
    return EvalScores(tuple(scores), labels)
