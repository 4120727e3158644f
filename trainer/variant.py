"""A variant of Gated NetVLAD, written Kx-Hy, and the 32 tensors it consists of.

Legend: D features of a frame, K clusters, H hidden size, V classes, M mixtures.
"""

import math
import re
from dataclasses import dataclass

from trainer.errors import UserError
from trainer.yt8m import AUDIO_SIZE, NUM_CLASSES, NUM_MIXTURES, RGB_SIZE

MIB = 2**20
"""Sizes are in MiB, the paper's measure (its "MB" are 2**20 bytes)."""

_NAME = re.compile(r"K(\d+)-H(\d+)")


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, shape and role of one of the 32 tensors of a model.

    Attributes:
        name: Key of the tensor in snapshots and SavedModels, e.g. ``hidden1/weights``.
        shape: Its dimensions.
        trainable: False for the moving statistics of batch normalisation, which no gradient reaches.
        compressible: True for the four big tensors that a compressor may store in fewer bytes (paper, 2.2).
        stddev: Standard deviation of the normal distribution it is initialised from; None means constant.
        constant: Initial value where stddev is None.
        l2: True where the L2 penalty of the mixture of experts applies.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    compressible: bool = False
    stddev: float | None = None
    constant: float = 0.0
    l2: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_kernel(self) -> bool:
        """Whether it is the kernel of a dense layer, which one row a video is multiplied with."""
        return self.name.endswith("/weights")


@dataclass(frozen=True, order=True)
class Variant:
    """One Gated NetVLAD: its cluster size K and its hidden size H.

    >>> str(Variant.parse("K24-H1440"))
    'K24-H1440'

    Raises:
        UserError: If K is below 2 (audio has K // 2 clusters) or H below 1.
    """

    cluster_size: int
    hidden_size: int

    def __post_init__(self) -> None:
        if self.cluster_size < 2 or self.hidden_size < 1:
            raise UserError(
                "a variant needs a cluster size of at least 2 (audio has half of it) and a hidden size of at "
                f"least 1. Received: cluster_size={self.cluster_size}, hidden_size={self.hidden_size}"
            )

    @classmethod
    def parse(cls, name: str) -> "Variant":
        """The variant of a name such as ``K24-H1440``; UserError when it is not one."""
        match = _NAME.fullmatch(name.strip())
        if not match:
            raise UserError(
                f"a variant is written K<clusters>-H<hidden>, for example K24-H1440. Received: {name!r}"
            )
        return cls(int(match[1]), int(match[2]))

    @property
    def name(self) -> str:
        """``Kx-Hy``, which is also the suffix of the variant's component ids."""
        return f"K{self.cluster_size}-H{self.hidden_size}"

    def __str__(self) -> str:
        return self.name

    @property
    def audio_cluster_size(self) -> int:
        """Audio, an eighth of the video's features, gets half of its clusters."""
        return self.cluster_size // 2

    def tensor_specs(
        self, num_classes: int = NUM_CLASSES, num_mixtures: int = NUM_MIXTURES
    ) -> tuple[TensorSpec, ...]:
        """The 32 tensors, in the order of the network (paper, 2.1; initial values of the authors' code)."""
        k, a, h = self.cluster_size, self.audio_cluster_size, self.hidden_size
        vlad_size = RGB_SIZE * k + AUDIO_SIZE * a
        gated = 2 * h
        return (
            *_net_vlad("video_vlad", RGB_SIZE, k),
            *_net_vlad("audio_vlad", AUDIO_SIZE, a),
            TensorSpec(
                name="hidden1/weights",
                shape=(vlad_size, h),
                compressible=True,
                stddev=1 / math.sqrt(vlad_size),
            ),
            *_batch_norm("hidden1/bn", h),
            TensorSpec(name="hidden2/weights", shape=(h, gated), stddev=1 / math.sqrt(h)),
            TensorSpec(name="hidden2/biases", shape=(gated,), stddev=0.01),
            TensorSpec(name="gating/weights", shape=(gated, gated), stddev=1 / math.sqrt(gated)),
            *_batch_norm("gating/bn", gated),
            TensorSpec(
                name="gates/weights",
                shape=(gated, num_classes * (num_mixtures + 1)),
                compressible=True,
                stddev=_glorot(gated, num_classes * (num_mixtures + 1)),
                l2=True,
            ),
            TensorSpec(
                name="experts/weights",
                shape=(gated, num_classes * num_mixtures),
                compressible=True,
                stddev=_glorot(gated, num_classes * num_mixtures),
                l2=True,
            ),
            TensorSpec(name="experts/biases", shape=(num_classes * num_mixtures,)),
            TensorSpec(
                name="gating_prob/weights",
                shape=(num_classes, num_classes),
                compressible=True,
                stddev=1 / math.sqrt(num_classes),
            ),
            *_batch_norm("gating_prob/bn", num_classes),
        )

    def float32_bytes(self, num_classes: int = NUM_CLASSES, num_mixtures: int = NUM_MIXTURES) -> int:
        """Bytes of the 32 tensors in float32."""
        return sum(4 * spec.size for spec in self.tensor_specs(num_classes, num_mixtures))

    def float16_bytes(self, num_classes: int = NUM_CLASSES, num_mixtures: int = NUM_MIXTURES) -> int:
        """Bytes of the 32 tensors with the four compressible ones in float16 (paper, 2.2)."""
        specs = self.tensor_specs(num_classes, num_mixtures)
        return sum((2 if spec.compressible else 4) * spec.size for spec in specs)


def _net_vlad(scope: str, feature_size: int, clusters: int) -> tuple[TensorSpec, ...]:
    stddev = 1 / math.sqrt(feature_size)
    return (
        TensorSpec(name=f"{scope}/cluster_weights", shape=(feature_size, clusters), stddev=stddev),
        *_batch_norm(f"{scope}/bn", clusters),
        TensorSpec(name=f"{scope}/cluster_centers", shape=(1, feature_size, clusters), stddev=stddev),
    )


def _batch_norm(scope: str, width: int) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(name=f"{scope}/beta", shape=(width,)),
        TensorSpec(name=f"{scope}/gamma", shape=(width,), constant=1.0),
        TensorSpec(name=f"{scope}/moving_mean", shape=(width,), trainable=False),
        TensorSpec(name=f"{scope}/moving_variance", shape=(width,), trainable=False, constant=1.0),
    )


def _glorot(fan_in: int, fan_out: int) -> float:
    """Standard deviation of Glorot's initialisation (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2 / (fan_in + fan_out))


_TABLE1 = """
K24-H1440 K32-H1280 K100-H800 K16-H1280 K32-H1024 K20-H960 K16-H800 K64-H512 K100-H400
K32-H600 K32-H512 K16-H512 K8-H512 K16-H400 K10-H400 K32-H256 K10-H300 K16-H256
"""
_INFERIOR = """
K20-H1600 K64-H1024 K150-H600 K128-H512 K16-H1024 K32-H400 K128-H1024 K8-H1024 K32-H800 K8-H800
"""

TABLE1: tuple[Variant, ...] = tuple(map(Variant.parse, _TABLE1.split()))
"""The paper's Table 1: the 18 models that were not eliminated, by decreasing size."""

GRID28: tuple[Variant, ...] = (*TABLE1, *map(Variant.parse, _INFERIOR.split()))
"""All 28 models that the paper trained: Table 1 and the ten inferior ones."""
