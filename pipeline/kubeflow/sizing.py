"""Computes how much of a machine each step asks for, from the bytes of what it holds."""

import math
from dataclasses import dataclass
from typing import Any

from pipeline.dag.trainer_order import FOLD, TEACHER, TEACHING_ASSEMBLER, fold_labels, trainer_nodes
from pipeline.recipe.pools import Pool
from pipeline.recipe.recipe import Recipe
from serving.export.compression import stored_bytes
from serving.export.device_weights import LARGEST
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.data.input_processes import SLOTS
from trainer.data.yt8m import FRAME_SIZE, MAX_FRAMES
from trainer.model.model_spec import ModelSpec
from trainer.model.moment_groups import moments_shapes
from trainer.training.config import TrainingConfig

GIB = 2**30
GB = 10**9

_PROGRAM = 3 * GB
"""The bytes of main memory for Python with TensorFlow and TFX, with a reserve."""

_GPU_CONTEXT = 1.5 * GIB
"""The bytes of GPU memory for CUDA's context and libraries, and for the workspaces of cuBLAS."""

_HOST_COPIES = 4
"""The copies of the weights in main memory while snapshots, states and models are written or averaged."""

_DEVICE_COPIES = 9
"""The copies of the decoded weights while a LiteRT file is made: 4.9 GB were measured for 456 MiB."""

_ROUNDING = GB
"""What a Compressor rounds a kernel by, in float64: the inverse or the eigenvectors of up to 4,096 inputs' moments."""

_MOMENT_COPIES = 3
"""The copies of the second moments of all kernels' inputs: the sums, what a batch adds to them, and the result."""

_SOFT_TARGETS = 2 * GB
"""A student's soft targets: 6.1 million videos at 144 bytes, twice while they are sorted."""

_PREFETCHED_BATCHES = 8

_INPUT_PROGRAM = GB // 4
"""What a process of the input takes without its batches: Python and NumPy."""

SHM_GB = 1
"""The gigabytes of main memory for /dev/shm, which in a container has 64 MiB otherwise."""


@dataclass(frozen=True)
class Resources:
    """What a step asks for, and the most that it gets.

    Attributes:
        cpus: The number of cores.
        memory_gb: The main memory in units of 10**9 bytes.
        gpus: The number of GPUs.
        gpu_resource: The name of the GPU resource in Kubernetes; None without GPUs.
    """

    cpus: float
    memory_gb: int
    gpus: int = 0
    gpu_resource: str | None = None

    def limits(self) -> dict[str, Any]:
        """Returns the resources of a container, as a compiled file has them."""
        cpus, memory = float(self.cpus), float(self.memory_gb)
        made = {"cpuLimit": cpus, "cpuRequest": cpus, "memoryLimit": memory, "memoryRequest": memory}
        if self.gpus:
            # The type is taken as Kubernetes' name of the resource.
            made["accelerator"] = {"type": self.gpu_resource, "count": str(self.gpus)}
        return made


def training_bytes(spec: ModelSpec, training: TrainingConfig) -> int:
    """Returns the bytes of device memory that one training step takes (see `Architecture.training_bytes`)."""
    frames = min(training.frames_per_video, MAX_FRAMES)
    return spec.architecture.training_bytes(training.largest_batch, frames, spec.num_classes)


def host_bytes(spec: ModelSpec, training: TrainingConfig) -> int:
    """Returns the bytes of main memory that a Trainer takes whose model is on a GPU."""
    shuffled = training.shuffle_buffer * MAX_FRAMES * FRAME_SIZE
    batch = training.largest_batch * min(training.frames_per_video, MAX_FRAMES) * FRAME_SIZE
    total = _PROGRAM + _HOST_COPIES * spec.float32_bytes + shuffled + _PREFETCHED_BATCHES * 4 * batch
    if training.uses_soft_targets:
        return total + _SOFT_TARGETS  # its batches come from one process
    if training.input_processes > 1:
        total += training.input_processes * (_INPUT_PROGRAM + SLOTS * batch)
    return total


def rounding_bytes(spec: ModelSpec) -> int:
    """Returns the bytes of main memory that a Compressor takes beside the weights."""
    moments = sum(4 * math.prod(shape) for shape in moments_shapes(spec).values())
    return _ROUNDING + _MOMENT_COPIES * moments


def trainer_resources(
    spec: ModelSpec, training: TrainingConfig, pool: Pool | None, teacher_bytes: int = 0
) -> Resources:
    """Returns what a Trainer asks for.

    Args:
        spec: The model that is trained.
        training: The training section of the variant.
        pool: The GPU pool; None to train on CPUs.
        teacher_bytes: Bytes of the teacher's weights in float32 where it scores every batch of a student.

    Raises:
        UserError: If the pool's GPU or machine is too small for the variant; the message has both sizes.
    """
    host = host_bytes(spec, training) + teacher_bytes
    device = training_bytes(spec, training) + teacher_bytes
    if pool is None:
        return Resources(cpus=4, memory_gb=_gb(host + device))
    profile = pool.profile
    # The batch is divided over GPUs, the weights are not; so one GPU's share of a batch is at most all of it.
    if device + _GPU_CONTEXT > profile.gpu_gib * GIB:
        raise UserError(
            f"kubernetes: pool {pool.name} has {profile.gpu_gib:g} GiB on a GPU, and Trainer-{spec} takes "
            f"{(device + _GPU_CONTEXT) / GIB:.1f} at a batch of {training.largest_batch}; give the variant another "
            "pool in kubernetes.variant_pools, or a smaller training.batch_size"
        )
    memory_gb = _gb(host) + SHM_GB
    if memory_gb > profile.memory_gb:
        raise UserError(
            f"kubernetes: pool {pool.name} has {profile.memory_gb:g} GB of main memory, and Trainer-{spec} "
            f"takes {memory_gb}; give the variant another pool in kubernetes.variant_pools, a larger "
            f"kubernetes.pools.{pool.name}.memory_gb if its machines have it, or a smaller training.shuffle_buffer"
        )
    return Resources(cpus=profile.cpus, memory_gb=memory_gb, gpus=pool.gpus, gpu_resource=profile.resource)


def loaded_bytes(recipe: Recipe) -> int:
    """Returns the memory of the largest ensemble that the limit allows, decoded to float32.

    Float16 becomes twice as large. A smaller form of a ladder becomes many times as large, up to all variants in
    float32, and its stored bytes are counted as well.
    """
    limit = recipe.ensemble.limit_bytes
    if not recipe.compression.ladder:
        return 2 * limit
    specs = [recipe.spec_of(variant) for variant in recipe.trained.values()]
    growth = max(
        spec.float32_bytes / stored_bytes(spec, form) for spec in specs for form in recipe.compression.ladder
    )
    return limit + int(min(growth * limit, sum(spec.float32_bytes for spec in specs)))


def step_resources(recipe: Recipe) -> dict[str, Resources]:
    """Returns what every step of a recipe's pipeline asks for, by node id."""
    limit = recipe.ensemble.limit_bytes
    workers = recipe.kubernetes.beam_cpus
    small = Resources(cpus=1, memory_gb=_gb(_PROGRAM))
    # With a remote runner the step only waits.
    reading = small if recipe.beam.is_remote else Resources(workers, _gb(_PROGRAM * (1 + workers)))
    loaded = loaded_bytes(recipe)
    # Each worker loads candidate and baseline.
    evaluating = small if recipe.beam.is_remote else Resources(
        workers, _gb(_PROGRAM + workers * (_PROGRAM + 2 * loaded))
    )  # fmt: skip
    resources = {
        "YouTube8MExampleGen": reading,
        "StatisticsGen": reading,
        "ImportSchemaGen": small,
        "ExampleValidator": small,
        "EnsembleAssembler": Resources(cpus=4, memory_gb=_gb(_PROGRAM + _HOST_COPIES * limit)),
        "Baseline": small,
        "DriftCheck": small,
        "Evaluator": evaluating,
        "ModelServerValidator": Resources(cpus=4, memory_gb=_gb(_PROGRAM + 2 * loaded)),
        "Pusher": Resources(cpus=2, memory_gb=_gb(_PROGRAM + _DEVICE_COPIES * min(loaded, LARGEST)))
        if recipe.push.litert
        else small,
        "RunReport": small,
    }
    if recipe.halving.enabled:
        resources["HalfTime"] = small
    for node, name in trainer_nodes(recipe).items():
        variant, training = recipe.trained[name], recipe.training_of(name)
        pool = recipe.kubernetes.pool_of(variant)
        # Decoded, float16 becomes twice as large.
        teacher = 2 * _teacher_limit(recipe) if training.asks_teacher else 0
        resources[node] = trainer_resources(recipe.spec_of(variant), training, pool, teacher)
    models = [("", name, variant) for name, variant in recipe.trained.items()]
    models += [(FOLD, label, recipe.trained[name]) for label, name in fold_labels(recipe).items()]
    for fold, name, variant in models:
        holding = _PROGRAM + _HOST_COPIES * recipe.spec_of(variant).float32_bytes
        resources[f"{fold}CheckpointAverager-{name}"] = Resources(cpus=4, memory_gb=_gb(holding))
        if recipe.compression.ladder:
            size = Resources(cpus=4, memory_gb=_gb(holding + rounding_bytes(recipe.spec_of(variant))))
            resources[f"{fold}Compressor-{name}"] = size
        else:
            resources[f"{fold}Fp16Compressor-{name}"] = resources[f"{fold}CheckpointAverager-{name}"]
    return resources | _teaching_resources(recipe, small, workers)


def _teaching_resources(recipe: Recipe, small: Resources, workers: int) -> dict[str, Resources]:
    """Returns what the steps between the teachers and the students ask for."""
    if not recipe.students:
        return {}
    limit = _teacher_limit(recipe)
    folds = range(recipe.teacher.folds)
    names = [f"{TEACHING_ASSEMBLER}-{fold}" for fold in folds] if len(folds) > 1 else [TEACHING_ASSEMBLER]
    assembling = Resources(cpus=4, memory_gb=_gb(_PROGRAM + _HOST_COPIES * limit))
    # Each worker loads the model; decoded, float16 becomes twice as large.
    teaching = Resources(workers, _gb(_PROGRAM + workers * (_PROGRAM + 2 * limit)))
    return {
        **({} if recipe.teacher.directory else dict.fromkeys(names, assembling)),
        **({TEACHER: small if recipe.beam.is_remote else teaching} if recipe.has_soft_targets else {}),
    }


def _teacher_limit(recipe: Recipe) -> int:
    """Returns the most bytes that the teacher's ensemble is stored in."""
    limit = recipe.teacher.limit_mib
    return int(limit * MIB) if limit else recipe.ensemble.limit_bytes


def _gb(size: float) -> int:
    return math.ceil(size / GB)
