"""Models whose big tensors are stored by codecs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.export.codecs import CODECS, VALUES, Codec
from serving.export.codecs.codec import Parts, Shape
from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec


@dataclass(frozen=True, eq=False)
class EncodedTensor:
    """A tensor as it is stored.

    Attributes:
        codec: The codec that decodes it.
        shape: Shape of the decoded tensor.
        parts: What is stored of it; see `Codec.layout`.
    """

    codec: Codec
    shape: Shape
    parts: Parts

    @classmethod
    def of(cls, array: "np.ndarray | EncodedTensor") -> "EncodedTensor":
        """Takes an array of float32 or float16 as it is; what is encoded already stays."""
        if isinstance(array, EncodedTensor):
            return array
        return cls(CODECS.parse(array.dtype.name), tuple(array.shape), {VALUES: array})

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.nbytes for part in self.parts.values())

    def decode(self) -> np.ndarray:
        """Returns the tensor as a float32 array."""
        return self.codec.decode(self.parts, self.shape)

    def named_parts(self, name: str) -> dict[str, np.ndarray]:
        """Returns the parts by the names that they are stored under in a model."""
        return {part_name(name, part): array for part, array in self.parts.items()}


def part_name(tensor: str, part: str) -> str:
    """Returns the name that a part of a tensor is stored under.

    >>> part_name("gates/weights", "values"), part_name("gates/weights", "scales")
    ('gates/weights', 'gates/weights/scales')
    """
    return tensor if part == VALUES else f"{tensor}/{part}"


def compress(
    spec: ModelSpec,
    weights: Mapping[str, np.ndarray],
    form: StoredForm | Codec,
    statistics: Mapping[str, np.ndarray] | None = None,
) -> dict[str, EncodedTensor]:
    """Encodes the compressible tensors, and those that a form names, by its codecs; all others stay float32.

    Args:
        spec: The model that the weights belong to.
        weights: All tensors of the model, float32.
        form: The stored form of the model; a codec alone is that of all compressible tensors.
        statistics: The statistics that codecs use (see `Codec.encode`), by the names of the tensors.

    Raises:
        UserError: If a value has no stored form; the first is named.
    """
    form = _form(form)
    encoded = {}
    for tensor in spec.tensors:
        value = np.asarray(weights[tensor.name], np.float32)
        codec = form.codec_of(tensor)
        try:
            parts = codec.encode(value, (statistics or {}).get(tensor.name))
        except ValueError as error:
            raise UserError(
                f"{spec}: {tensor.name}{error}: train it with a lower learning rate, or leave the variant out of the "
                "recipe"
            ) from None
        encoded[tensor.name] = EncodedTensor(codec, tensor.shape, parts)
    return encoded


def stored_bytes(spec: ModelSpec, form: StoredForm | Codec) -> int:
    """Returns the bytes of a model's tensors in a stored form; no weights are needed."""
    return sum(_form(form).codec_of(tensor).stored_bytes(tensor.shape) for tensor in spec.tensors)


def _form(form: StoredForm | Codec) -> StoredForm:
    return form if isinstance(form, StoredForm) else StoredForm(form)
