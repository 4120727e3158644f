"""The rules of Kubernetes' names, which all verbs and recipes check here.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names and .../labels
"""

import re

from trainer.base.errors import UserError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")


def check_name(fault: str | None, what: str, received: str) -> None:
    """Refuses a name that breaks a rule.

    Args:
        fault: What one of the functions below says of the name.
        what: The option or key that it was given with, for the message.
        received: The name.

    Raises:
        UserError: If there is a fault.

    >>> check_name(object_name_fault("Bad Name!"), "--service-account", "Bad Name!")
    Traceback (most recent call last):
    trainer.base.errors.UserError: --service-account: a name in Kubernetes has lower-case letters, digits, hyphens and dots, at most 253, and begins and ends with a letter or digit. Received: 'Bad Name!'
    """  # noqa: E501
    if fault:
        raise UserError(f"{what}: {fault}. Received: {received!r}")


def namespace_fault(name: str) -> str | None:
    """The rule that a namespace's name (a DNS label) breaks; None for none."""
    if _LABEL.fullmatch(name) and len(name) <= 63:
        return None
    return (
        "a namespace's name has lower-case letters, digits and hyphens, at most 63, and begins and ends with a letter "
        "or digit"
    )


def object_name_fault(name: str) -> str | None:
    """The rule that the name of a service account, a claim, a ConfigMap or a queue (a DNS subdomain) breaks."""
    if _SUBDOMAIN.fullmatch(name) and len(name) <= 253:
        return None
    return (
        "a name in Kubernetes has lower-case letters, digits, hyphens and dots, at most 253, and begins and ends with "
        "a letter or digit"
    )


def label_key_fault(key: str) -> str | None:
    """The rule that the key of a label, a taint or a resource, such as cloud.google.com/gke-spot, breaks."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253):
        return "what stands before the slash of a label's key is a domain"
    return _qualified_fault(name, "key")


def label_value_fault(value: str) -> str | None:
    """The rule that the value of a label or a taint breaks; an empty one breaks none."""
    return _qualified_fault(value, "value") if value else None


def _qualified_fault(name: str, part: str) -> str | None:
    if _QUALIFIED.fullmatch(name) and len(name) <= 63:
        return None
    return (
        f"a label's {part} has letters, digits, hyphens, underscores and dots, at most 63, and begins and ends "
        "with a letter or digit"
    )
