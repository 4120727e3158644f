"""Types of a recipe's texts that follow rules: file addresses and Kubernetes' names."""

import re
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


def _like(pattern: str, rule: str) -> AfterValidator:
    return _no(lambda text: None if re.fullmatch(pattern, text) else rule)


RecipeName = Annotated[
    str,
    _like(
        r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?",
        "at most 60 lower-case letters, digits and hyphens, without a hyphen at its ends, such as my-recipe",
    ),
]
"""The name of a recipe, and so of its pipeline and directories."""

SpanWindow = Annotated[
    str,
    _like(r"newest|last-[1-9][0-9]{0,5}|since-[0-9]{1,9}", "give newest, or one like last-3 or since-12"),
]
"""Spans up to the newest: `newest`, `last-3`, `since-12`."""

ServedName = Annotated[str, _like(r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")]
"""The name of a model in requests."""

HostAndPort = Annotated[str, _like(r"[^\s\[\]]+:\d+", "give HOST:PORT, such as localhost:8099")]
"""Where a service listens."""

FileAddress = Annotated[str, _no(address_fault)]
"""A local path or gs://BUCKET/NAME."""

FilePattern = Annotated[str, _no(lambda text: address_fault(text, pattern=True))]
"""A local path or gs://BUCKET/NAME, with wildcards and {SPAN}."""

BucketDirectory = Annotated[str, _no(bucket_address_fault)]
"""A directory in a bucket, gs://BUCKET/DIRECTORY."""

ObjectName = Annotated[str, _no(kubernetes_names.object_name_fault)]
"""The name of a claim or of another object of Kubernetes."""

LabelKey = Annotated[str, _no(kubernetes_names.label_key_fault)]
"""The key of a label, a taint, or a resource."""

LabelValue = Annotated[str, _no(kubernetes_names.label_value_fault)]
"""The value of a label or a taint."""
