"""What verbs that predict have in common: the options of versions and of TLS, and where predictions come from."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.client.client import PredictClient
    from serving.inference.local_predictor import LocalPredictor

CaFile = Annotated[
    str | None,
    typer.Option(help="PEM file of the authority that the server's certificate is of; turns TLS on."),
]
CertificateFile = Annotated[
    str | None, typer.Option(help="PEM file of this client's certificate, where the server wants one.")
]
KeyFile = Annotated[str | None, typer.Option(help="PEM file of its key.")]
ModelVersion = Annotated[
    int | None, typer.Option(min=0, help="Number of the version to ask. Default: the newest.")
]
VersionLabel = Annotated[
    str | None, typer.Option(help="The version that the server has under this label, instead of a number.")
]


def predictor_of(
    model: str | None,
    target: str,
    model_name: str,
    version: int | None,
    label: str | None,
    timeout: float,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
) -> "LocalPredictor | PredictClient":
    """The model in a directory, loaded here, or else the one of a server; this process keeps the memory that it frees.

    Args:
        model: Directory of a SavedModel or of its versions.
        target: HOST:PORT.
        model_name: What the server calls it.
        version: Number of the version; None for the newest.
        label: Of the server's version; not with a number.
        timeout: Seconds that a request gets.
        tls: Files of the authority, the client's certificate and its key.

    Raises:
        UserError: If there is no such model, or the options contradict each other.
    """
    from trainer.base.errors import UserError
    from trainer.base.memory import keep_freed_memory

    if label is not None and (model or version is not None):
        raise UserError(
            "--version-label is what a server knows a version by: not with --model or --model-version"
        )
    keep_freed_memory()
    if model:
        from serving.store.model_store import whole_model_path

        whole_model_path(model, version)  # before the seconds that TensorFlow takes
        from serving.inference.local_predictor import LocalPredictor

        return LocalPredictor(model, version)
    from serving.base.tls import ClientTls
    from serving.client.client import PredictClient

    ca, certificate, key = tls
    credentials = ClientTls(ca=ca, certificate=certificate, key=key) if any(tls) else None
    return PredictClient(target, model_name, timeout, credentials, version=version, version_label=label)
