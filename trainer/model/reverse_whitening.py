"""Reverse whitening: features that varied more count more, though all were made to vary alike.

The data set's features are components of a PCA, by falling variance, and whitened: each was divided by its standard
deviation. So the last of them, mostly noise, are as large as the first, and a model that sees few videos learns the
noise by heart. Lin, Xiao & Fan 2018 (NeXtVLAD, https://arxiv.org/abs/1811.05014, eq. 11) multiply feature i of rgb with
the square root of its published eigenvalue, which is proportional to

    s[i] = (1 + i / 64) ** -0.9

within 8 % (root mean square over the 1,024 features). Here i / 64 is 16 i / D for D features, so that audio, whose
eigenvalues are not published, has the same curve.

The features themselves stay what they are, for every model that is served. The rows of the kernels that features are
multiplied with are initialised with s times the usual standard deviation, and learn with s times the learning rate:
with Adam, whose steps do not depend on the scale of a gradient, that trains the same model as features times s.
"""

import numpy as np

from trainer.model.tensor_spec import TensorSpec

_KNEES, _EXPONENT = 16, 0.9


def row_factors(tensor: TensorSpec, strength: float) -> np.ndarray | None:
    """Returns the factor of each row's initial values and learning rate, s ** strength.

    Args:
        tensor: A tensor of a model.
        strength: 1 to undo the whitening, 0 to leave it.

    Returns:
        float32 [P], P being the tensor's first dimension, with root mean square 1 over the features of rgb, and over
        those of audio; None where all factors are 1.
    """
    if not tensor.feature_rows or not strength:
        return None
    parts = [np.repeat(_spectrum(size, strength), times) for size, times in tensor.feature_rows]
    rest = tensor.shape[0] - sum(map(len, parts))
    return np.concatenate([*parts, np.ones(rest)]).astype(np.float32)


def _spectrum(size: int, strength: float) -> np.ndarray:
    spectrum = (1 + _KNEES * np.arange(size) / size) ** (-_EXPONENT * strength)
    return spectrum / np.sqrt(np.mean(spectrum**2))
