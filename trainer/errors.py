"""The one error that means: the user's input is wrong, not the program."""


class UserError(Exception):
    """The input is wrong: what, where, and what to do about it, in one line.

    The command line prints the message as one line on standard error and exits with code 2; every other
    exception is a fault of the program or the machine and exits with code 1.
    """
