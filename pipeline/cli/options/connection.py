"""The options and the model that verbs have in common which predict: versions, TLS, and a server or a directory."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.base.tls import ClientTls
    from serving.client.client import PredictClient
    from serving.inference.local_predictor import LocalPredictor

CaFile = Annotated[
    str | None,
    typer.Option(help="PEM file of the authority that signed the server's certificate. It turns TLS on."),
]
CertificateFile = Annotated[
    str | None, typer.Option(help="PEM file of this client's certificate, if the server asks for one.")
]
KeyFile = Annotated[str | None, typer.Option(help="PEM file of the key of that certificate.")]
ModelVersion = Annotated[
    int | None, typer.Option(min=0, help="Number of the model's version. Default: the newest.")
]
VersionLabel = Annotated[
    str | None, typer.Option(help="Label of the version in the server, such as stable, instead of a number.")
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
    """Returns the model of a directory, loaded in this process, or else a client of a server.

    It also lets this process keep the memory that it frees (see `keep_freed_memory`).

    Args:
        model: The directory of a SavedModel or of its versions; None to ask a server.
        target: The address of the server, HOST:PORT.
        model_name: The name by which the server knows the model.
        version: The number of the version; None for the newest.
        label: The label of the server's version; not together with a number.
        timeout: The most seconds that a request may take.
        tls: The PEM files of the authority, the client's certificate and its key.

    Raises:
        UserError: If there is no such model, or the options contradict each other.
    """
    from trainer.base.errors import UserError
    from trainer.base.memory import keep_freed_memory

    if label is not None and (model is not None or version is not None):
        raise UserError(
            "--version-label is what a server knows a version by: not with --model or --model-version"
        )
    keep_freed_memory()
    if model is not None:
        check_no_tls(tls)
        from serving.store.model_store import whole_model_path

        whole_model_path(model, version)  # before the seconds that TensorFlow takes
        from serving.inference.local_predictor import LocalPredictor

        return LocalPredictor(model, version)
    from serving.client.client import PredictClient

    return PredictClient(target, model_name, timeout, client_tls(tls), version=version, version_label=label)


def check_no_tls(files: tuple[str | None, str | None, str | None]) -> None:
    """Raises UserError if an option for TLS is given where no server is asked; `files` are as in `client_tls`."""
    from trainer.base.errors import UserError

    if any(file is not None for file in files):
        raise UserError(
            "--tls-ca, --tls-certificate and --tls-key are for the connection to a server, and none is asked: name "
            "one, or leave them out"
        )


def client_tls(files: tuple[str | None, str | None, str | None]) -> "ClientTls | None":
    """Returns the TLS settings of a client, or None for a connection without TLS.

    Args:
        files: PEM files: the certificate of the server's authority, the client's certificate, and its key. Each is None
            where its option is not given.
    """
    from serving.base.tls import ClientTls

    ca, certificate, key = files
    return (
        ClientTls(ca=ca, certificate=certificate, key=key)
        if any(file is not None for file in files)
        else None
    )
