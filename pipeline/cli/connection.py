"""What verbs that predict have in common: the options of TLS, and where predictions come from."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.client import PredictClient
    from serving.local_predictor import LocalPredictor

CaFile = Annotated[
    str | None,
    typer.Option(help="PEM file of the authority that the server's certificate is of; turns TLS on."),
]
CertificateFile = Annotated[
    str | None, typer.Option(help="PEM file of this client's certificate, where the server wants one.")
]
KeyFile = Annotated[str | None, typer.Option(help="PEM file of its key.")]


def predictor_of(
    model: str | None,
    target: str,
    model_name: str,
    timeout: float,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
) -> "LocalPredictor | PredictClient":
    """The model in a directory, loaded here, or else the one of a server.

    Args:
        model: Directory of a SavedModel or of its versions.
        target: HOST:PORT.
        model_name: What the server calls it.
        timeout: Seconds that a request gets.
        tls: Files of the authority, the client's certificate and its key.
    """
    if model:
        from serving.local_predictor import LocalPredictor

        return LocalPredictor(model)
    from serving.client import PredictClient
    from serving.tls import ClientTls

    ca, certificate, key = tls
    credentials = ClientTls(ca=ca, certificate=certificate, key=key) if any(tls) else None
    return PredictClient(target, model_name, timeout, credentials)
