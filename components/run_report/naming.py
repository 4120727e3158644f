"""How members are called where models have several stored forms."""

from typing import Any

Report = dict[str, Any]

DEFAULT_FORM = "float16"
"""The paper's form, which goes without saying, and the only one in reports that name none."""


def member_name(variant: str, form: str | None) -> str:
    """Returns the name of a model in one of its forms.

    >>> member_name("K8-H256", "int4-b128"), member_name("K8-H256", "float16")
    ('K8-H256 int4-b128', 'K8-H256')
    """
    return variant if form in (None, DEFAULT_FORM) else f"{variant} {form}"


def row_name(row: Report) -> str:
    """Returns the name of the model in a row of a report's members."""
    return member_name(row["variant"], row.get("form"))


def ensemble_names(ensemble: Report) -> list[str]:
    """Returns the names of the members in a row of a report's ensembles."""
    forms = ensemble.get("forms") or [None] * len(ensemble["members"])
    return [member_name(*pair) for pair in zip(ensemble["members"], forms, strict=True)]
