"""The verb ``yt8m serve``, which serves models over gRPC and HTTP from this machine."""

import logging
import re
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.model.models import parse_labels

if TYPE_CHECKING:
    from serving.server.models.model_config import ModelConfig

_logger = logging.getLogger("yt8m.serve")

_MOST_REQUEST_MIB = 2047
"""gRPC counts the bytes of a message in 32 bits."""

_MOST_THREADS = 4096
"""More than any machine has cores; TensorFlow counts them in 32 bits."""


def serve(
    base_dir: Annotated[
        str | None,
        typer.Argument(
            help="Directory of the model's versions, local or gs://: <BASE_DIR>/<version>/saved_model.pb."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8500,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    model_name: Annotated[str, typer.Option(help="Name by which clients ask for the model.")] = "yt8m",
    versions: Annotated[
        str, typer.Option(help="Versions to serve: latest, latest:2, all, or numbers such as 3,5.")
    ] = "latest",
    label: Annotated[
        list[str] | None, typer.Option(help="Label of a version, as NAME=VERSION. May be repeated.")
    ] = None,
    model_config_file: Annotated[
        str | None,
        typer.Option(
            help="File with TensorFlow Serving's ModelServerConfig in text form, to serve several models."
        ),
    ] = None,
    poll_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Seconds between two looks for a new version. Default: 1, and 10 in a bucket."
        ),
    ] = None,
    max_batch_size: Annotated[
        int,
        typer.Option(min=0, help="Most videos of different requests that run together; 0 for no batching."),
    ] = 0,
    batch_timeout_ms: Annotated[
        float, typer.Option(min=0, help="Most milliseconds that a request waits for others in its batch.")
    ] = 2.0,
    max_enqueued_batches: Annotated[
        int,
        typer.Option(min=1, help="Most batches that wait; further requests are answered with UNAVAILABLE."),
    ] = 8,
    batch_threads: Annotated[
        int, typer.Option(min=1, max=_MOST_THREADS, help="Number of batches that run at once.")
    ] = 1,
    threads: Annotated[
        int,
        typer.Option(
            min=0, max=_MOST_THREADS, help="Number of threads in TensorFlow's pools; 0 lets it choose."
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most requests that are worked on at once. Default: 8, or twice --max-batch-size."
        ),
    ] = None,
    max_requests: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most requests at once, waiting ones included; more get RESOURCE_EXHAUSTED. Default: 16 "
            "per worker.",
        ),
    ] = None,
    max_mib_at_once: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most MiB of all requests that are there at once; more get UNAVAILABLE. Default: "
            "--max-request-mib.",
        ),
    ] = None,
    max_request_mib: Annotated[
        int,
        typer.Option(
            min=1, max=_MOST_REQUEST_MIB, help="Largest request, in MiB; at most --max-mib-at-once."
        ),
    ] = 256,
    max_request_videos: Annotated[
        int,
        typer.Option(min=1, help="Most videos of one request, which bound the memory that a model takes."),
    ] = 1024,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port for REST, /metrics, /healthz and /readyz; 0 takes a free one. Default: none.",
        ),
    ] = None,
    http_seconds: Annotated[
        float, typer.Option(min=0.001, help="Most seconds until a request over HTTP is answered.")
    ] = 30.0,
    tls_certificate: Annotated[str | None, typer.Option(help="PEM file of the server's certificate.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file of the key of that certificate.")] = None,
    tls_client_ca: Annotated[
        str | None,
        typer.Option(help="PEM file of the authority that must have signed every client's certificate."),
    ] = None,
    allow_reload: Annotated[
        bool,
        typer.Option(
            help="Clients may change what is served (HandleReloadConfigRequest); needs --tls-client-ca."
        ),
    ] = False,
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(
            help="URL of an OpenTelemetry collector that gets a trace of each request. Default: none."
        ),
    ] = None,
    grace_seconds: Annotated[
        float, typer.Option(min=0, help="Most seconds that running requests get after SIGTERM.")
    ] = 30.0,
) -> None:
    """Serves models over TensorFlow Serving's gRPC and REST APIs, and the Open Inference Protocol.

    It serves until SIGTERM or Ctrl-C.

    A newer version takes over without a failed request when it is loaded. When the server takes requests it prints
    its address, HOST:PORT, on standard output.

    \b
    Examples: yt8m serve models/demo/yt8m --port 8500
              yt8m serve models/demo/yt8m --max-batch-size 16 --http-port 8501
    """
    from serving.base.tls import ServerTls
    from serving.server.listening import check_can_listen, check_endpoint, host_and_port
    from serving.server.models.model_config import check_model
    from trainer.base.errors import UserError

    if (base_dir is None) == (model_config_file is None):
        raise UserError("give the directory of one model's versions, or --model-config-file for several")
    if model_config_file is not None and (label or (model_name, versions) != ("yt8m", "latest")):
        raise UserError("--model-config-file says names, versions and labels: leave out those options")
    if (tls_certificate is None) != (tls_key is None) or (tls_client_ca and not tls_key):
        raise UserError("TLS needs --tls-certificate and --tls-key, with or without --tls-client-ca")
    if allow_reload and not tls_client_ca:
        raise UserError("--allow-reload needs --tls-client-ca: else anybody could change what is served")
    if port and port == http_port:
        raise UserError(f"--port and --http-port are both {port}: give two")
    # All that can be wrong, before the imports and the loading, which take seconds.
    models = _models(base_dir, model_name, versions, label or [], model_config_file)
    tls = ServerTls(certificate=tls_certificate, key=tls_key, client_ca=tls_client_ca) if tls_key else None
    if tls is not None:
        tls.check()
    if otlp_endpoint is not None:
        check_endpoint(otlp_endpoint)
    for each in (port, http_port):
        if each is not None:
            check_can_listen(host, each)
    for model in models:
        numbers = ", ".join(map(str, check_model(model)))
        _logger.info("serve: loading version %s in %s", numbers, model.base_path)
    from serving.server.models.batched_servable import BatchingConfig
    from serving.server.server import PredictionServer, ServerOptions, termination
    from trainer.base.memory import keep_freed_memory

    keep_freed_memory()
    batching = BatchingConfig(
        max_batch_size=max_batch_size,
        timeout_seconds=batch_timeout_ms / 1000,
        max_enqueued_batches=max_enqueued_batches,
        threads=batch_threads,
    )
    options = ServerOptions(
        workers=workers or max(8, 2 * max_batch_size),
        max_requests=max_requests,
        # What is never taken is too large: UNAVAILABLE would have it sent again for ever.
        max_request_bytes=min(max_request_mib, max_mib_at_once or max_request_mib) * 2**20,
        max_bytes_at_once=max_mib_at_once and max_mib_at_once * 2**20,
        max_videos=max_request_videos,
        batching=batching if max_batch_size else None,
        tls=tls,
        allow_reload=allow_reload,
        http_port=http_port,
        http_seconds=http_seconds,
        otlp_endpoint=otlp_endpoint,
        tensorflow_threads=threads,
    )
    if poll_seconds is None:
        poll_seconds = 10.0 if any("://" in model.base_path for model in models) else 1.0
    server = PredictionServer(models, host=host, port=port, poll_seconds=poll_seconds, options=options)
    with termination() as wait:
        server.start()
        try:
            names = ", ".join(model.name for model in models)
            _logger.info("serve: model %s is served at %s", names, host_and_port(host, server.port))
            if http_port is not None:
                scheme = "https" if tls else "http"
                address = host_and_port(host, server.http_port)
                _logger.info("serve: REST, metrics and health at %s://%s", scheme, address)
            typer.echo(host_and_port(host, server.port))
            wait()
            _logger.info("serve: finishing the requests that run")
        finally:
            server.stop(grace_seconds)


def _models(
    base_dir: str | None, name: str, versions: str, labels: list[str], config_file: str | None
) -> "list[ModelConfig]":
    from serving.server.models.model_config import ModelConfig, read_model_configs
    from serving.server.models.version_policy import VersionPolicy
    from trainer.base.errors import UserError

    if config_file is not None:
        return read_model_configs(config_file)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(
            f"--model-name {name!r:.100}: clients ask for the model by this name, in URLs, too: give letters, digits, "
            "dots, hyphens and underscores, such as yt8m"
        )
    policy, pairs = VersionPolicy.parse(versions), parse_labels(labels)
    return [ModelConfig(name=name, base_path=base_dir, policy=policy, labels=pairs)]
