"""The section `kubernetes` of a recipe: where the steps of a compiled pipeline run."""

from pydantic import ConfigDict, Field, model_validator

from pipeline.recipe.field_types import ObjectName
from pipeline.recipe.pools import Pool, PoolSection, make_pool
from pipeline.recipe.variant_name import VariantName
from trainer.base.addresses import address_fault
from trainer.base.settings import Settings
from trainer.model.architectures import Architecture

WHEELS_COMPUTE_CAPABILITY = 6.0
"""The lowest compute capability that TensorFlow 2.21's wheels have kernels for (2.16's, LANE=tfx116: 5.0)."""


class KubernetesSection(Settings):
    """Node pools, volumes, retries, and how many Trainers run at the same time.

    `yt8m run` uses only `max_parallel_trainers`, for the order of the Trainers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trainer_pool: str | None = Field(
        None,
        description="GPU pool of the Trainers: the name of a profile or of one of `pools`; none for CPUs.",
    )
    variant_pools: dict[VariantName, str] = Field(
        default_factory=dict,
        description="Pools of the variants whose Trainers run in another pool, by variant.",
    )
    pools: dict[str, PoolSection] = Field(
        default_factory=dict, description="Pools of your own, by name, each made from a profile."
    )
    image_compute_capability: float = Field(
        WHEELS_COMPUTE_CAPABILITY,
        gt=0,
        description="Lowest compute capability for which the image's TensorFlow has GPU kernels.",
    )
    queue: ObjectName | None = Field(
        None,
        description="Kueue's LocalQueue in which Trainers with a GPU wait; none where there is no Kueue. "
        "See k8s/pipelines/queue.",
    )
    volumes: dict[ObjectName, str] = Field(
        default_factory=dict,
        description="Claims (ReadWriteMany) that every step mounts: the absolute path by the claim's name.",
    )
    max_parallel_trainers: int | None = Field(
        None,
        ge=1,
        description="Trainers that run at the same time, those with the least work first; none for all at once.",
    )
    trainer_retries: int = Field(5, ge=0, description="How often a failed Trainer starts again.")
    beam_retries: int = Field(2, ge=0, description="How often a failed Beam step starts again.")
    beam_cpus: int = Field(
        3,
        ge=1,
        le=1000,
        description="Cores of a Beam step with the DirectRunner. Each of the Evaluator's takes 7 GB: three fit on a "
        "machine of 32 GB.",
    )

    def pool_of(self, variant: Architecture) -> Pool | None:
        """Returns the pool of a variant's Trainer; None for CPUs."""
        name = self.variant_pools.get(variant, self.trainer_pool)
        return None if name is None else make_pool(name, self.pools)

    @model_validator(mode="after")
    def _pools_exist(self) -> "KubernetesSection":
        named = {self.trainer_pool, *self.variant_pools.values(), *self.pools} - {None}
        for name in sorted(named):
            make_pool(name, self.pools)
        return self

    @model_validator(mode="after")
    def _somebody_queues(self) -> "KubernetesSection":
        if self.queue is not None and self.trainer_pool is None and not self.variant_pools:
            raise ValueError(
                f"queue: no Trainer would wait in {self.queue}, as none has a pool: set trainer_pool"
            )
        return self

    @model_validator(mode="after")
    def _paths_are_absolute(self) -> "KubernetesSection":
        for claim, path in self.volumes.items():
            if not path.startswith("/") or path.rstrip("/") == "":
                raise ValueError(f"volumes.{claim}: {path!r} is no absolute path below the root")
            if fault := ("a mounted path has no colon" if ":" in path else address_fault(path)):
                raise ValueError(f"volumes.{claim}: {path!r}: {fault}")
        return self
