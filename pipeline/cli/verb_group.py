"""A group of verbs whose help has the whole first sentence of each."""

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1000
"""More characters than any first sentence has."""


class VerbGroup(TyperGroup):
    """Lists its verbs with the whole first sentence of each; the library cuts it at the width of a line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of verbs into the help."""
        verbs = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(_WHOLE)) for name, verb in verbs.items()])
