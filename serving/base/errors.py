"""What can go wrong with a request to a server."""

from trainer.base.errors import OutsideError, UserError


class ServingError(OutsideError):
    """The server failed, or answered with something that no server of these models answers with."""


class TryAgainError(ServingError):
    """The server cannot be reached, is too busy or took too long: the same request may succeed later."""


class NoServerError(UserError, TryAgainError):
    """No request got as far as a server: nobody listens at the address, or the two do not agree on TLS."""
