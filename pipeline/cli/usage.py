"""Says what is wrong with the words of a command line, where the library's own text leads astray."""

import os
import re
import sys
import traceback
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

_CLOSE = 0.65
"""Least similarity of two names of options, without their dashes, of which one may be meant for the other."""


def usage_text(error: Any) -> str:
    """Returns what is wrong by a usage error of the command line library, without a hint at the verb's help."""
    if (given := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        return _unknown_option(given, error.ctx)
    if hasattr(error.__cause__, "errors") and error.__cause__.errors()[0]["type"] != "value_error":
        return _invalid_value(error)
    text = error.format_message().replace("Value error, ", "")
    too_many, _, rest = text.partition("Got unexpected extra argument(s) (")
    if too_many or not rest:
        return text
    if "--cron" in sys.argv:
        return "--cron takes its five fields as one word, in quotes, such as --cron '0 3 * * 1'"
    extra = rest.removesuffix(")").split()
    for option, key, value in zip(sys.argv, sys.argv[1:], sys.argv[2:], strict=False):
        if option == "--set" and "=" not in key and value in extra:
            return f"--set takes KEY=VALUE as one word: --set {key}={value}"
    if files := [one for one in extra if os.path.exists(one)]:
        return (
            f"{files[0]} ({len(files)} in all) stands behind no option: a pattern of files is given in quotes"
        )
    return text


def verb_of(error: Any) -> str:
    """Returns the verb whose words a usage error is about, such as ``yt8m data check``."""
    # Of an option without its value the library does not note the verb, but it was parsing its words.
    frames = (frame.f_locals.get("ctx") for frame, _ in traceback.walk_tb(error.__traceback__))
    found = [getattr(error, "ctx", None) or one for one in frames if hasattr(one, "command_path")]
    return found[-1].command_path if found else "yt8m"


def _invalid_value(error: Any) -> str:
    """Says what a value must be, which pydantic has refused, what was given, and the default as an example."""
    from pipeline.recipe.errors import complaints

    default = "" if error.param.default is None else f"; the default is {error.param.default}"
    return f"{' '.join(complaints(error.__cause__, BaseModel, error.param.opts[0]))}{default}"


def _unknown_option(given: str, context: Any) -> str:
    """Says where what was given with an option that a verb has not is taken: as an argument, or by a similar option."""
    name = given.lstrip("-")
    parameters = context.command.params if context else []
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    if len(name) > 2 and any(_speaks_of(name, one) for one in arguments):
        pieces = [one for one in context.command.collect_usage_pieces(context) if one != "[OPTIONS]"]
        places = re.sub(r"[{}]", "", " ".join(pieces)).replace("......", "...").upper()
        return f"No such option: {given}; give it as an argument, {context.command_path} {places}"
    options = {
        long.removeprefix("--"): one
        for one in parameters
        if one.param_type_name == "option"
        for long in one.opts
    }
    close = get_close_matches(name, options, cutoff=_CLOSE)
    near = [long for long in options if long in close or name in long.split("-")]
    if not near and len(name) > 2:
        near = [long for long, one in options.items() if not one.is_flag and _speaks_of(name, one)]
    possible = f" (Possible options: {', '.join(f'--{one}' for one in near)})" if near else ""
    return f"No such option: {given}{possible}"


def _speaks_of(name: str, parameter: Any) -> bool:
    """Whether a parameter has a name, or its help has a word, that begins or ends so."""
    words = re.findall(r"\w+", f"{parameter.name} {parameter.help or ''}".lower())
    return any(word.startswith(name.lower()) or word.endswith(name.lower()) for word in words)
