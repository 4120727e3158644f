"""The section `beam` of a recipe: the engine of ExampleGen, StatisticsGen, the Teacher and the Evaluator."""

import socket
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from pipeline.recipe.field_types import BucketDirectory, HostAndPort
from trainer.base.errors import UserError
from trainer.base.settings import Settings

_KEYS_OF = {
    "DirectRunner": ("workers",),
    "DataflowRunner": (
        "project", "region", "temp_location", "worker_image", "machine_type", "max_workers",
        "service_account", "subnetwork",
    ),
    "FlinkRunner": ("flink_master", "flink_version", "parallelism", "worker_pool", "worker_image"),
    "PortableRunner": ("job_endpoint", "worker_pool", "worker_image"),
}  # fmt: skip
_NEEDED = {
    "DataflowRunner": ("project", "region", "temp_location"),
    "FlinkRunner": ("flink_master",),
    "PortableRunner": ("job_endpoint",),
}

_LONGEST_JOB = 24 * 3600
_SECONDS_TO_CONNECT = 10


class BeamSection(Settings):
    """The runner of Beam and its settings; a key that belongs to another runner is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    runner: Literal["DirectRunner", "DataflowRunner", "FlinkRunner", "PortableRunner"] = Field(
        "DirectRunner",
        description="Beam's runner; the DirectRunner works on the machine where the step runs, the PortableRunner "
        "gives the work to any engine that has Beam's job service, such as Prism, Flink's or Spark's job server.",
    )
    workers: int = Field(0, ge=0, description="DirectRunner: number of processes; 0 for one per core.")
    project: str | None = Field(None, description="Dataflow: the Google Cloud project that pays.")
    region: str | None = Field(None, description="Dataflow: the region of the workers, such as europe-west4.")
    temp_location: BucketDirectory | None = Field(
        None, description="Dataflow: gs:// directory for temporary files."
    )
    worker_image: str | None = Field(
        None,
        description="Dataflow, or Docker on Flink or a portable engine: image of the workers, which must hold this "
        "project. Default in `yt8m compile`: its --image.",
    )
    machine_type: str | None = Field(
        None, description="Dataflow: machine type of a worker, such as n2-standard-8."
    )
    max_workers: int | None = Field(None, ge=1, description="Dataflow: largest number of workers.")
    service_account: str | None = Field(None, description="Dataflow: e-mail of the workers' account.")
    subnetwork: str | None = Field(
        None, description="Dataflow: subnetwork of the workers, regions/REGION/subnetworks/NAME."
    )
    flink_master: HostAndPort | None = Field(
        None, description="Flink: HOST:PORT of the job manager's REST interface."
    )
    flink_version: Literal["1.17", "1.18", "1.19"] = Field(
        "1.19", description="Flink: version of the cluster."
    )
    parallelism: int = Field(1, ge=1, description="Flink: number of task slots to use.")
    worker_pool: str | None = Field(
        None,
        description="Flink, portable: HOST:PORT of Beam's worker pool beside each task manager or at the engine; none "
        "starts Docker containers of worker_image there.",
    )
    job_endpoint: HostAndPort | None = Field(
        None, description="Portable: HOST:PORT of the engine's job service."
    )
    args: tuple[str, ...] = Field((), description="Further Beam arguments, such as --experiments=...")

    @property
    def is_remote(self) -> bool:
        """Whether the work is done on other machines than the one where the step runs."""
        return self.runner != "DirectRunner"

    @property
    def pipeline_args(self) -> list[str]:
        """The arguments of Beam's command line.

        Raises:
            UserError: If remote workers would have no image with this project.
        """
        arguments = {
            "DirectRunner": self._direct, "DataflowRunner": self._dataflow, "FlinkRunner": self._flink,
            "PortableRunner": self._portable,
        }[self.runner]  # fmt: skip
        return [f"--runner={self.runner}", *arguments(), *self.args]

    def on_cluster(self, image: str, cpus: int) -> "BeamSection":
        """Returns the section for a pod, with open settings taken from the pod's image and cores.

        The DirectRunner would otherwise start a process for every core of the node.

        Args:
            image: The image of the pod.
            cpus: The number of cores of the pod.
        """
        if self.is_remote:
            return self.model_copy(update={"worker_image": self.worker_image or image})
        return self.model_copy(update={"workers": self.workers or cpus})

    def _direct(self) -> list[str]:
        # One worker runs in this process, which saves its start.
        mode = "in_memory" if self.workers == 1 else "multi_processing"
        return [
            f"--direct_num_workers={self.workers}",
            f"--direct_running_mode={mode}",
            # Not used without containers, but TFX takes it as word that its workers have this code already;
            # without it every Beam step builds a source package of TFX for them.
            "--sdk_container_image=this-installation",
        ]

    def _dataflow(self) -> list[str]:
        options = {
            "project": self.project,
            "region": self.region,
            "temp_location": self.temp_location,
            "sdk_container_image": self._image(),
            "worker_machine_type": self.machine_type,
            "max_num_workers": self.max_workers,
            "service_account_email": self.service_account,
            "subnetwork": self.subnetwork,
        }
        return [f"--{name}={value}" for name, value in options.items() if value is not None]

    def _flink(self) -> list[str]:
        return [
            f"--flink_master={self.flink_master}",
            f"--flink_version={self.flink_version}",
            # The job goes to the cluster by REST: no job server, and so no Java, in the step's image.
            "--flink_submit_uber_jar",
            f"--parallelism={self.parallelism}",
            *self._workers(),
        ]

    def _portable(self) -> list[str]:
        return [
            f"--job_endpoint={self.job_endpoint}",
            # Beam takes it as the longest time of a whole job, too, and its default is a minute.
            f"--job_server_timeout={_LONGEST_JOB}",
            *self._workers(),
        ]

    def check_reachable(self) -> None:
        """Raises UserError if nothing listens at the job service of a portable engine, for which a job would wait."""
        if self.job_endpoint is None:
            return
        host, _, port = self.job_endpoint.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_CONNECT).close()
        except (OSError, OverflowError) as error:
            raise UserError(
                f"beam.job_endpoint: there is no job service at {self.job_endpoint} ({error}); start the engine, or "
                "give the address of another one"
            ) from None

    def _workers(self) -> list[str]:
        if self.worker_pool:
            return [
                "--environment_type=EXTERNAL",
                f"--environment_config={self.worker_pool}",
                "--sdk_container_image=this-installation",
            ]
        return [
            "--environment_type=DOCKER",
            f"--environment_config={self._image()}",
            f"--sdk_container_image={self._image()}",
        ]

    def _image(self) -> str:
        if not self.worker_image:
            raise UserError(
                f"beam.worker_image: {self.runner}'s workers need an image that holds this project; build the "
                "Dockerfile, push it, and give its address"
            )
        return self.worker_image

    @model_validator(mode="after")
    def _keys_fit_the_runner(self) -> "BeamSection":
        missing = [key for key in _NEEDED.get(self.runner, ()) if getattr(self, key) is None]
        if missing:
            raise ValueError(f"runner {self.runner} needs {', '.join(missing)}")
        for key in sorted(self.model_fields_set - {"runner", "args"} - set(_KEYS_OF[self.runner])):
            if getattr(self, key) != BeamSection.model_fields[key].default:
                owners = " and ".join(runner for runner, keys in _KEYS_OF.items() if key in keys)
                raise ValueError(f"{key} is for {owners}, but the runner is {self.runner}")
        return self
