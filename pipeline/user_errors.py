"""Finding the UserError behind what a library made of it."""

import re

from trainer.errors import UserError


def find_user_error(error: BaseException) -> str | None:
    """The text of the UserError behind an exception; None where there is none.

    Beam adds the step's name to the text of what a worker raised in this process; from a worker process
    only the printed trace comes back.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return re.sub(r" \[while running .*\]$", "", str(seen), flags=re.DOTALL)
        seen = seen.__cause__  # What merely happened while a UserError was handled is a fault of its own.
    if found := re.findall(r"^trainer\.errors\.UserError: (.*)$", str(error), flags=re.MULTILINE):
        return re.sub(r" \[while running .*$", "", found[-1])
    return None
