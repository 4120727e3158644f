"""GPU node pools: the profiles that come with the project, and a recipe's own made from them."""

import functools
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.recipe.errors import nearest
from pipeline.recipe.field_types import LabelKey, LabelValue


class Toleration(BaseModel):
    """A taint that a pod may ignore, in Kubernetes' words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: LabelKey
    operator: str = "Exists"
    value: LabelValue | None = None
    effect: str | None = None


class PoolProfile(BaseModel):
    """What a node pool has; see pools.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[LabelKey, LabelValue] = Field(description="Of the nodes.")
    resource: LabelKey = Field("nvidia.com/gpu", description="Kubernetes' name of one GPU.")
    tolerations: tuple[Toleration, ...] = Field(
        (Toleration(key="nvidia.com/gpu", effect="NoSchedule"),), description="Of the nodes' taints."
    )
    compute_capability: float = Field(gt=0, description="NVIDIA's number for what the GPU can execute.")
    gpu_gib: float = Field(gt=0, description="Memory of one GPU that a program gets, in 2**30 bytes.")
    cpus: float = Field(gt=0, description="Cores that a pod gets.")
    memory_gb: float = Field(gt=0, description="Memory that a pod gets, in 10**9 bytes.")
    spot: bool = Field(description="Whether it can be had as GKE's spot nodes.")


class PoolSection(BaseModel):
    """A recipe's own pool: a profile with some of it changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str = Field(description="k80, p100, t4, v100, l4, a100 or 1080ti.")
    labels: dict[LabelKey, LabelValue] | None = Field(
        None,
        min_length=1,
        description="Of the nodes, instead of the profile's; CPU steps keep off what has the first.",
    )
    tolerations: tuple[Toleration, ...] | None = Field(None, description="Instead of the profile's.")
    gpus: int = Field(1, ge=1, description="GPUs of one Trainer.")
    cpus: float | None = Field(None, gt=0, description="Cores that a pod gets, instead of the profile's.")
    memory_gb: float | None = Field(None, gt=0, description="Memory that a pod gets, likewise.")
    spot: bool = Field(False, description="Spot nodes: cheaper, and taken away at any time.")


class Pool(BaseModel):
    """A pool as Trainers use it.

    Attributes:
        name: In the recipe.
        profile: What its nodes have, the recipe's changes included.
        gpus: GPUs of one Trainer.
        spot: Whether they are spot nodes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    profile: PoolProfile
    gpus: int = 1
    spot: bool = False


@functools.cache
def pool_profiles() -> dict[str, PoolProfile]:
    """The profiles of pools.yaml, by name."""
    text = resources.files("pipeline.recipe").joinpath("pools.yaml").read_text(encoding="utf-8")
    return {name: PoolProfile.model_validate(tree) for name, tree in yaml.safe_load(text).items()}


def make_pool(name: str, own: dict[str, PoolSection]) -> Pool:
    """The pool of a name: the recipe's own, or a profile as it is.

    Raises:
        ValueError: There is none of the name, its profile is unknown, no label leads to its nodes, or it
            cannot be had as spot nodes.
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
    return Pool(name=name, profile=profile, gpus=section.gpus, spot=section.spot)
