"""How a whole model is stored: one codec for its big tensors, and others for some of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from serving.export.codecs import CODECS, FLOAT32, Codec
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec
from trainer.model.tensor_spec import TensorSpec


@dataclass(frozen=True)
class StoredForm:
    """The codecs of a model's tensors: one for all compressible ones but those that are named with another.

    A name may also be that of a smaller kernel, which otherwise stays float32, as biases and statistics always do.

    >>> form = StoredForm.parse("int4-b128+gating_prob/weights=lowrank-r256-int8")
    >>> form.codec.name, form.others
    ('int4-b128', (('gating_prob/weights', LowRank(inner=Int8(), rank=256)),))

    Attributes:
        codec: Codec of the compressible tensors that `others` does not name.
        others: Name and codec of tensors that are stored otherwise, ascending.
    """

    codec: Codec
    others: tuple[tuple[str, Codec], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "StoredForm":
        """Reads a name such as ``int4-b128`` or ``int4-b128+gating_prob/weights=lowrank-r256-int8``.

        Raises:
            UserError: If the text is no name of a form.
        """
        codec, *others = text.split("+")
        named: dict[str, Codec] = {}
        for other in others:
            tensor, equals, name = other.partition("=")
            if not equals or not tensor.strip():
                raise UserError(
                    "a stored form is written like int8, or like int4-b128+gating_prob/weights=lowrank-r256-int8: a "
                    f"codec, then + and NAME=CODEC for each tensor that has another one. Received: {text!r}"
                )
            named[tensor.strip()] = CODECS.parse(name)
        return cls(CODECS.parse(codec), tuple(sorted(named.items())))

    @classmethod
    def of(cls, spec: ModelSpec, codecs: Mapping[str, Codec]) -> "StoredForm":
        """Returns the form of a model with these codecs of its tensors; the codec of most weights comes first."""
        sizes: Counter[Codec] = Counter()
        for tensor in spec.tensors:
            if tensor.compressible:
                sizes[codecs[tensor.name]] += tensor.size
        plain = cls(sizes.most_common(1)[0][0] if sizes else FLOAT32)
        others = (
            (tensor.name, codecs[tensor.name])
            for tensor in spec.tensors
            if codecs[tensor.name] != plain.codec_of(tensor)
        )
        return cls(plain.codec, tuple(sorted(others)))

    @property
    def name(self) -> str:
        """The name that `parse` reads."""
        return "+".join([self.codec.name, *(f"{tensor}={codec}" for tensor, codec in self.others)])

    def __str__(self) -> str:
        return self.name

    def codec_of(self, tensor: TensorSpec) -> Codec:
        """Returns the codec that a tensor is stored by."""
        named = dict(self.others) if _is_kernel(tensor) else {}
        return named.get(tensor.name, self.codec if tensor.compressible else FLOAT32)

    def without_others(self, *specs: ModelSpec) -> "StoredForm":
        """Returns the form without what it names that is a kernel of none of these models."""
        known = _kernels(specs)
        return StoredForm(self.codec, tuple(one for one in self.others if one[0] in known))

    def check(self, *specs: ModelSpec) -> None:
        """Raises UserError if the form names a tensor that is no kernel of any of these models."""
        known = _kernels(specs)
        for name, _ in self.others:
            if name not in known:
                models = ", ".join(str(spec) for spec in specs[:3])
                raise UserError(
                    f"{self}: {name} is no kernel of {models}; those are {', '.join(sorted(known))}"
                )


def _kernels(specs: Iterable[ModelSpec]) -> set[str]:
    return {tensor.name for spec in specs for tensor in spec.tensors if _is_kernel(tensor)}


def _is_kernel(tensor: TensorSpec) -> bool:
    return tensor.compressible or len(tensor.shape) > 1
