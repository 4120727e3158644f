"""A group of verbs whose help has the whole first sentence of each, and whose options are given once."""

from collections import Counter
from typing import Any

from typer.core import TyperGroup

from trainer.base.errors import UserError

_WHOLE = 1000
"""More characters than any first sentence has."""


class VerbGroup(TyperGroup):
    """Lists its verbs with the whole first sentence of each; the library cuts it at the width of a line.

    An option of a verb that takes one value and is given twice is refused; the library takes the last value.
    """

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of verbs into the help."""
        verbs = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(_WHOLE)) for name, verb in verbs.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Returns a verb with its name and arguments; raises UserError where an option is given twice."""
        name, verb, rest = super().resolve_command(ctx, args)
        # Other faults of the arguments are told when the library parses them.
        trial = verb.context_class(verb, info_name=name, parent=ctx, resilient_parsing=True)
        _, _, given = verb.make_parser(trial).parse_args(list(rest))
        for parameter, times in Counter(given).items():
            if (
                times > 1
                and parameter.param_type_name == "option"
                and not (parameter.multiple or parameter.is_flag)
            ):
                raise UserError(f"{parameter.opts[0]} is given {times} times; give it once")
        return name, verb, rest
