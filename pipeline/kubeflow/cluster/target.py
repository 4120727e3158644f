"""Describes the installation of Kubeflow Pipelines that a verb talks to."""

import os
import ssl
from dataclasses import dataclass

from pipeline.recipe.kubernetes_names import check_name, namespace_fault
from trainer.base.addresses import is_http_url
from trainer.base.errors import UserError

IN_CLUSTER = "in-cluster"
"""The host that stands for the service of the cluster that this runs in, or else of kubectl's current context."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An installation of Kubeflow Pipelines, and the credentials for it.

    Where a field is None, kfp.Client looks in its usual places: KF_PIPELINES_IAP_OAUTH2_CLIENT_ID, the file
    ~/.config/kfp/context.json, and so on.

    Attributes:
        host: The URL, or `IN_CLUSTER`.
        namespace: The namespace of a multi-user installation.
        token_file: The file with a bearer token, which is used before all other credentials. It is read for every
            request, so that it may be renewed.
        iap_client_id: The OAuth client of the Identity-Aware Proxy in front of the installation.
        ca_file: The PEM file of the authority that signed the server's certificate.
        timeout: The most seconds that an answer may take.

    Raises:
        UserError: If the host is no URL, the namespace is no valid name, a file is not there, or the authority's holds
            no certificate.
    """

    host: str
    namespace: str | None = None
    token_file: str | None = None
    iap_client_id: str | None = None
    ca_file: str | None = None
    timeout: int = 60

    def __post_init__(self) -> None:
        if self.host != IN_CLUSTER and not is_http_url(self.host):
            raise UserError(
                f"--host is a URL, such as http://localhost:8080, or {IN_CLUSTER}. Received: {self.host!r}"
            )
        if self.namespace is not None:
            check_name(namespace_fault(self.namespace), "--namespace", self.namespace)
        for option, path in (("--token-file", self.token_file), ("--ca-file", self.ca_file)):
            if path and not os.path.isfile(path):
                raise UserError(f"{option} {path}: there is no such file")
        if self.ca_file:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except OSError:  # of which ssl.SSLError is one
                raise UserError(
                    f"--ca-file {self.ca_file}: no certificate in it that can be read; give the PEM file of the "
                    "authority"
                ) from None
