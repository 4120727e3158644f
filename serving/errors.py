"""What can go wrong with a request that is not the request's own fault (that is a
`trainer.errors.UserError`)."""


class ServingError(Exception):
    """The server failed, or answered with something that no server of these models answers with."""


class TryAgainError(ServingError):
    """The server cannot be reached, is too busy or took too long: the same request may succeed later."""
