"""The errors that are no fault of the program."""


class UserError(Exception):
    """The input is wrong: what, where, and what to do about it, in one line.

    The command line prints the message as one line on standard error and exits with code 2; every exception
    but OutsideError is a fault of the program or the machine and exits with code 1.
    """


class OutsideError(Exception):
    """Something that the user watches or calls did not succeed, though the input is fine: a cluster, a run there.

    The command line prints the message as one line and exits with code 1; there is no trace that would help.
    """
