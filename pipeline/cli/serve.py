"""``yt8m serve``: a model over gRPC, from this machine."""

import logging
from typing import Annotated

import typer

_logger = logging.getLogger("yt8m.serve")


def serve(
    base_dir: Annotated[
        str, typer.Argument(help="Directory of the model's versions: <BASE_DIR>/<version>/saved_model.pb.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen at; 0 takes a free one.")] = 8500,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    model_name: Annotated[str, typer.Option(help="By which clients ask for the model.")] = "yt8m",
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two looks for a new version.")
    ] = 1.0,
    workers: Annotated[int, typer.Option(min=1, help="Requests that run at once; more wait.")] = 8,
    grace_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds that running requests get after SIGTERM.")
    ] = 30.0,
) -> None:
    """Serves the newest version in a directory over TensorFlow Serving's gRPC API, until SIGTERM or Ctrl-C.

    A newer version takes over without a failed request when it is loaded. The line on standard output,
    HOST:PORT, is printed when requests are taken.

    Example: yt8m serve models/demo --port 8500
    """
    from serving.model_store import served_version

    # Before the imports that take seconds.
    _logger.info("serve: loading version %d in %s", served_version(base_dir), base_dir)
    from serving.server import PredictionServer, termination

    server = PredictionServer(base_dir, model_name, host, port, poll_seconds, workers)
    with termination() as wait:
        server.start()
        try:
            _logger.info("serve: model %s is served at %s:%d", model_name, host, server.port)
            typer.echo(f"{host}:{server.port}")
            wait()
            _logger.info("serve: finishing the requests that run")
        finally:
            server.stop(grace_seconds)
