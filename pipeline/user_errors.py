"""Finds the cause of an exception that a library raised: the UserError, or else the text that says most."""

import re
from collections.abc import Iterator

from trainer.base.errors import UserError


def find_user_error(error: BaseException) -> str | None:
    """Returns the text of the UserError behind an exception; None if there is none.

    Beam adds the step's name to the text of what a worker raised in this process; from a worker process
    only the printed trace comes back.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return re.sub(r" \[while running .*\]$", "", str(seen), flags=re.DOTALL)
        seen = seen.__cause__  # What merely happened while a UserError was handled is a fault of its own.
    if found := re.findall(r"^trainer\.base\.errors\.UserError: (.*)$", str(error), flags=re.MULTILINE):
        return re.sub(r" \[while running .*$", "", found[-1])
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and those behind it: what each was raised from, or was raised while handling."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def error_text(error: BaseException) -> str:
    """Returns type and text of an exception; if it has no text, those of the one that it was raised from, too.

    TFX's file systems raise a NotFoundError without a text from TensorFlow's, which names the file.
    """
    names = []
    for one in causes(error):
        names.append(type(one).__name__)
        if text := " ".join(str(one).split()):
            return f"{' from '.join(names)}: {text}"
    return " from ".join(names)


def unreached_bucket(text: str) -> str | None:
    """Returns one line of what TensorFlow says of a bucket that gave no answer or refused one; else None."""
    found = re.search(r"Error executing an HTTP request: (.*?) when \w+.*?(gs://\S+)", text, flags=re.DOTALL)
    if not found:
        return None
    reason = found[1].rpartition("error details: ")[2]
    return (
        f"{found[2]} cannot be reached: {reason:.200}; check the address, the network, and that you may use the bucket "
        "(gcloud auth application-default login)"
    )
