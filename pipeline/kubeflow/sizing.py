"""How much of a machine each step asks for, from the bytes of what it holds.

Legend: B videos of a batch, T frames, K clusters, H hidden size, V classes, M mixtures.
"""

import math
from dataclasses import dataclass

from pipeline.kubeflow.pools import Pool
from pipeline.recipe import Recipe
from pipeline.trainer_order import trainer_nodes
from trainer.config import TrainingConfig
from trainer.errors import UserError
from trainer.variant import Variant
from trainer.yt8m import AUDIO_SIZE, FRAME_SIZE, MAX_FRAMES, NUM_CLASSES, NUM_MIXTURES, RGB_SIZE

GIB = 2**30
GB = 10**9

_PROGRAM = 3 * GB
"""Python with TensorFlow and TFX, and room."""

_GPU_CONTEXT = 1.5 * GIB
"""CUDA's context and libraries, and the workspaces of cuBLAS."""

_TRAINING_COPIES = 5
"""Of the weights: themselves, their gradients, Adam's two slots, and the largest temporary of an update."""

_HOST_COPIES = 4
"""Of the weights in main memory while a snapshot, a state and a model are written, or an average is formed."""

_PREFETCHED_BATCHES = 8

SHM_GB = 1
"""Of main memory for /dev/shm, which in a container would be 64 MiB."""


@dataclass(frozen=True)
class Resources:
    """What a step asks for; it gets no more.

    Attributes:
        cpus: Cores.
        memory_gb: 10**9 bytes.
        gpus: Number of GPUs.
        gpu_resource: Kubernetes' name of one; None without.
    """

    cpus: float
    memory_gb: int
    gpus: int = 0
    gpu_resource: str | None = None


def training_bytes(variant: Variant, training: TrainingConfig) -> int:
    """Memory of the device that one training step takes: weights, gradients, Adam's slots and the batch.

    Float32 throughout; backward passes keep about as much as the forward pass made.
    """
    k, h = variant.cluster_size + variant.audio_cluster_size, variant.hidden_size
    frames = min(training.frames_per_video, MAX_FRAMES)
    per_frame = 4 * FRAME_SIZE + 6 * k  # input, normalised, two gradients; logits to softmax and back
    descriptors = 4 * (RGB_SIZE * variant.cluster_size + AUDIO_SIZE * variant.audio_cluster_size)
    outputs = 16 * h + 4 * NUM_CLASSES * (2 * NUM_MIXTURES + 2)
    batch = training.batch_size * (frames * per_frame + descriptors + outputs)
    return _TRAINING_COPIES * variant.float32_bytes() + 4 * batch


def host_bytes(variant: Variant, training: TrainingConfig) -> int:
    """Main memory of a Trainer whose model lies on a GPU."""
    shuffled = training.shuffle_buffer * MAX_FRAMES * FRAME_SIZE
    batch = 4 * training.batch_size * min(training.frames_per_video, MAX_FRAMES) * FRAME_SIZE
    return _PROGRAM + _HOST_COPIES * variant.float32_bytes() + shuffled + _PREFETCHED_BATCHES * batch


def trainer_resources(variant: Variant, training: TrainingConfig, pool: Pool | None) -> Resources:
    """What a Trainer asks for.

    Raises:
        UserError: If the pool's GPU or machine is too small for the variant; the text has both sizes.
    """
    host, device = host_bytes(variant, training), training_bytes(variant, training)
    if pool is None:
        return Resources(cpus=4, memory_gb=_gb(host + device))
    profile = pool.profile
    # The batch is divided over GPUs, the weights are not; so one GPU's share of a batch is at most all of it.
    if device + _GPU_CONTEXT > profile.gpu_gib * GIB:
        raise UserError(
            f"kubernetes: pool {pool.name} has {profile.gpu_gib:g} GiB on a GPU, and Trainer-{variant} takes "
            f"{(device + _GPU_CONTEXT) / GIB:.1f} at a batch of {training.batch_size}; give the variant another "
            "pool in kubernetes.variant_pools, or a smaller training.batch_size"
        )
    memory_gb = _gb(host) + SHM_GB
    if memory_gb > profile.memory_gb:
        raise UserError(
            f"kubernetes: pool {pool.name} has {profile.memory_gb:g} GB of main memory, and Trainer-{variant} "
            f"takes {memory_gb}; give the variant another pool in kubernetes.variant_pools, a larger "
            f"kubernetes.pools.{pool.name}.memory_gb if its machines have it, or a smaller training.shuffle_buffer"
        )
    return Resources(cpus=profile.cpus, memory_gb=memory_gb, gpus=pool.gpus, gpu_resource=profile.resource)


def step_resources(recipe: Recipe) -> dict[str, Resources]:
    """What every step of a recipe's pipeline asks for, by node id."""
    limit = recipe.ensemble.limit_bytes
    workers = recipe.kubernetes.beam_cpus
    small = Resources(cpus=1, memory_gb=_gb(_PROGRAM))
    # With a remote runner the step only waits.
    reading = small if recipe.beam.is_remote else Resources(workers, _gb(_PROGRAM * (1 + workers)))
    # Each worker loads candidate and baseline, float16 decoded to float32.
    evaluating = small if recipe.beam.is_remote else Resources(
        workers, _gb(_PROGRAM + workers * (_PROGRAM + 4 * limit))
    )  # fmt: skip
    resources = {
        "YouTube8MExampleGen": reading,
        "StatisticsGen": reading,
        "ImportSchemaGen": small,
        "ExampleValidator": small,
        "EnsembleAssembler": Resources(cpus=4, memory_gb=_gb(_PROGRAM + _HOST_COPIES * limit)),
        "Baseline": small,
        "Evaluator": evaluating,
        "ModelServerValidator": Resources(cpus=4, memory_gb=_gb(_PROGRAM + _HOST_COPIES * limit)),
        "Pusher": small,
        "RunReport": small,
    }
    if recipe.halving.enabled:
        resources["HalfTime"] = small
    for node, variant in trainer_nodes(recipe).items():
        pool = recipe.kubernetes.pool_of(variant)
        resources[node] = trainer_resources(variant, recipe.training_of(variant), pool)
    for variant in recipe.variants:
        holding = Resources(cpus=4, memory_gb=_gb(_PROGRAM + _HOST_COPIES * variant.float32_bytes()))
        resources[f"CheckpointAverager-{variant}"] = holding
        resources[f"Fp16Compressor-{variant}"] = holding
    return resources


def _gb(size: float) -> int:
    return math.ceil(size / GB)
