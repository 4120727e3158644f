"""What all settings that a recipe holds have in common."""

from typing import Any, ClassVar, get_args

from pydantic import (
    BaseModel,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError


class Settings(BaseModel):
    """Settings whose numbers are written as numbers, and whole ones fit into the 64 bits of TensorFlow's.

    Pydantic would take `true` for 1 and `no` for 0.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            types = {*_types(cls.model_fields[info.field_name or ""].annotation)}
            if bool not in types and types & {int, float}:
                kind = "float_type" if float in types else "int_type"
                raise PydanticCustomError(kind, "must be a number")
        return value

    @field_validator("*")
    @classmethod
    def _in_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and value >= 2**63:
            raise ValueError("must be less than 2**63")
        return value


class GrownSettings(Settings):
    """Settings some of which earlier versions did not have; these are not written where they change nothing.

    Fingerprints of runs and the keys of TFX's cache are made of what is written: what was made before stays valid.
    """

    LATER: ClassVar[tuple[str, ...]]
    """Names of the settings that earlier versions did not have."""

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = handler(self)
        for name in self.LATER:
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name, None)
        return values


def _types(annotation: Any) -> list[Any]:
    """Returns the types in an annotation such as `int | None`, but not those of a collection's elements."""
    if getattr(annotation, "__metadata__", None):
        return _types(annotation.__origin__)
    arguments = get_args(annotation)
    if not arguments or isinstance(getattr(annotation, "__origin__", None), type):
        return [annotation]
    return [one for argument in arguments for one in _types(argument)]
