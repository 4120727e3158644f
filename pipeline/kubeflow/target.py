"""Which installation of Kubeflow Pipelines is meant."""

import os
from dataclasses import dataclass

from pipeline.recipe.kubernetes_names import check_name, namespace_fault
from trainer.base.errors import UserError

IN_CLUSTER = "in-cluster"
"""A host: the service of the cluster that this runs in, or else of kubectl's current context."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An installation, and who asks.

    What is None here kfp.Client takes from where it always does: KF_PIPELINES_IAP_OAUTH2_CLIENT_ID, the file
    ~/.config/kfp/context.json, and so on.

    Attributes:
        host: URL, or `IN_CLUSTER`.
        namespace: Of a multi-user installation.
        token_file: Holds a bearer token, which goes before all other credentials; it is read for every request,
            so that it may be renewed.
        iap_client_id: OAuth client of the Identity-Aware Proxy before the installation.
        ca_file: PEM file of the authority of its certificate.
        timeout: Seconds that an answer may take.

    Raises:
        UserError: If the host is no URL, the namespace cannot be one, or a file is not there.
    """

    host: str
    namespace: str | None = None
    token_file: str | None = None
    iap_client_id: str | None = None
    ca_file: str | None = None
    timeout: int = 60

    def __post_init__(self) -> None:
        if self.host != IN_CLUSTER and not self.host.startswith(("http://", "https://")):
            raise UserError(
                f"--host is a URL, such as http://localhost:8080, or {IN_CLUSTER}. Received: {self.host!r}"
            )
        if self.namespace is not None:
            check_name(namespace_fault(self.namespace), "--namespace", self.namespace)
        for option, path in (("--token-file", self.token_file), ("--ca-file", self.ca_file)):
            if path and not os.path.isfile(path):
                raise UserError(f"{option} {path}: there is no such file")
