"""GPU node pools: the profiles that come with the project, and a recipe's own pools, which are made from them."""

import functools
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.recipe.errors import nearest
from pipeline.recipe.field_types import LabelKey, LabelValue
from trainer.base.settings import Settings


class Toleration(BaseModel):
    """A taint of nodes that a pod may ignore, with the keys that Kubernetes uses."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: LabelKey
    operator: str = "Exists"
    value: LabelValue | None = None
    effect: str | None = None


class PoolProfile(BaseModel):
    """The properties of a node pool's machines and GPUs; see pools.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    labels: dict[LabelKey, LabelValue] = Field(description="Labels of the nodes.")
    resource: LabelKey = Field("nvidia.com/gpu", description="Kubernetes' name of one GPU.")
    tolerations: tuple[Toleration, ...] = Field(
        (Toleration(key="nvidia.com/gpu", effect="NoSchedule"),),
        description="Tolerations of the nodes' taints.",
    )
    compute_capability: float = Field(
        gt=0, description="NVIDIA's compute capability of the GPU, such as 7.0."
    )
    gpu_gib: float = Field(gt=0, description="Memory of one GPU that a program gets, in 2**30 bytes.")
    cpus: float = Field(gt=0, description="Cores that a pod gets.")
    memory_gb: float = Field(gt=0, description="Memory that a pod gets, in 10**9 bytes.")
    spot: bool = Field(description="Whether the pool is available as GKE's spot nodes.")


class PoolSection(Settings):
    """A pool that a recipe defines: a profile with some of its values changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    profile: str = Field(
        description="Profile that the pool is made from: k80, p100, t4, v100, l4, a100 or 1080ti."
    )
    labels: dict[LabelKey, LabelValue] | None = Field(
        None,
        min_length=1,
        description="Labels of the nodes, instead of the profile's; CPU steps avoid nodes that have the "
        "first.",
    )
    tolerations: tuple[Toleration, ...] | None = Field(
        None, description="Tolerations of the nodes' taints, instead of the profile's."
    )
    gpus: int = Field(1, ge=1, description="Number of GPUs of one Trainer.")
    cpus: float | None = Field(None, gt=0, description="Cores that a pod gets, instead of the profile's.")
    memory_gb: float | None = Field(
        None, gt=0, description="Memory that a pod gets, in 10**9 bytes, instead of the profile's."
    )
    spot: bool = Field(
        False, description="Whether to use spot nodes, which are cheaper and may be taken away at any time."
    )
    flex_start: bool = Field(
        False,
        description="Whether to use GKE's flex-start nodes, which come once there are GPUs, for at most seven days.",
    )


class Pool(BaseModel):
    """A node pool in which Trainers run.

    Attributes:
        name: The name of the pool in the recipe.
        profile: The properties of its nodes, with the recipe's changes.
        gpus: The number of GPUs of one Trainer.
        spot: Whether the nodes are spot nodes.
        flex_start: Whether the nodes are GKE's flex-start nodes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    profile: PoolProfile
    gpus: int = 1
    spot: bool = False
    flex_start: bool = False


@functools.cache
def pool_profiles() -> dict[str, PoolProfile]:
    """Returns the profiles of pools.yaml, by name."""
    text = resources.files("pipeline.recipe").joinpath("pools.yaml").read_text(encoding="utf-8")
    return {name: PoolProfile.model_validate(tree) for name, tree in yaml.safe_load(text).items()}


def make_pool(name: str, own: dict[str, PoolSection]) -> Pool:
    """Returns the pool of a name: the recipe's own pool, or a profile as it is.

    Args:
        name: The name of the pool.
        sections: The pools that the recipe defines, by name.

    Raises:
        ValueError: If there is no pool of the name, its profile is unknown, no label leads to its nodes, or it is not
            available as spot nodes.
    """
    profiles = pool_profiles()
    if name not in own and name not in profiles:
        raise ValueError(f"there is no pool {name}{nearest(name, [*own, *profiles])}")
    section = own.get(name) or PoolSection(profile=name)
    if section.profile not in profiles:
        raise ValueError(
            f"pools.{name}.profile: there is no profile {section.profile}{nearest(section.profile, [*profiles])}"
        )
    profile = profiles[section.profile]
    if section.spot and not profile.spot:
        raise ValueError(f"pools.{name}.spot: {section.profile} cannot be had as spot nodes")
    if section.flex_start and not profile.spot:
        raise ValueError(f"pools.{name}.flex_start: {section.profile} is not one of GKE's")
    if section.flex_start and section.spot:
        raise ValueError(f"pools.{name}: nodes are spot or flex_start, not both")
    changes = section.model_dump(include={"cpus", "memory_gb"}, exclude_none=True)
    if section.labels is not None:
        changes["labels"] = section.labels
    if section.tolerations is not None:
        changes["tolerations"] = section.tolerations
    profile = profile.model_copy(update=changes)
    if not profile.labels:
        raise ValueError(
            f"pool {name}: no label leads to its nodes; add to the recipe's kubernetes section "
            f"pools: {{NAME: {{profile: {section.profile}, labels: {{KEY: VALUE}}}}}} and use that NAME"
        )
    return Pool(
        name=name, profile=profile, gpus=section.gpus, spot=section.spot, flex_start=section.flex_start
    )
