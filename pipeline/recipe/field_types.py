"""Texts of a recipe that follow rules: file addresses and Kubernetes' names."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from pipeline.recipe import kubernetes_names
from trainer.base.addresses import address_fault, bucket_address_fault


def _no(fault_of: Callable[[str], str | None]) -> AfterValidator:
    def check(text: str) -> str:
        if fault := fault_of(text):
            raise ValueError(fault)
        return text

    return AfterValidator(check)


FileAddress = Annotated[str, _no(address_fault)]
"""A local path or gs://BUCKET/NAME."""

FilePattern = Annotated[str, _no(lambda text: address_fault(text, pattern=True))]
"""The same, with wildcards and {SPAN}."""

BucketDirectory = Annotated[str, _no(bucket_address_fault)]
"""gs://BUCKET/DIRECTORY."""

ObjectName = Annotated[str, _no(kubernetes_names.object_name_fault)]
"""Of a claim or another of Kubernetes' objects."""

LabelKey = Annotated[str, _no(kubernetes_names.label_key_fault)]
"""Of a label, a taint, or a resource."""

LabelValue = Annotated[str, _no(kubernetes_names.label_value_fault)]
"""Of a label or a taint."""
