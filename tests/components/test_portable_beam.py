"""A real engine under Beam: ExampleGen, StatisticsGen, the Evaluator, the Teacher and batch inference write the same.

The engine is Prism, whose binary the environment variable PRISM names (`make test-portable` builds it); its workers are
processes of their own, from Beam's worker pool. Both listen on all interfaces, so it belongs in a network of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.recipe.beam import BeamSection
from tests.components.teachers import CONFIG, write_teacher_shards, write_teachers
from tests.records import random_example
from tests.serving.tiny_model import write_tiny_model
from trainer.data.tfrecord import write_tfrecords

PRISM = os.environ.get("PRISM", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PRISM, reason="make test-portable builds an engine for it"),
    pytest.mark.timeout(900),
]
DIRECT = BeamSection(workers=1).pipeline_args


class Engine:
    """Prism and a worker pool."""

    def __init__(self, logs: Path) -> None:
        job_port, pool_port = free_port(), free_port()
        # The pool starts its workers as `python`.
        paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._log = open(logs / "engine.log", "wb")  # noqa: SIM115 (closed by stop)
        commands = (
            [PRISM, f"--job_port={job_port}", "--serve_http=false", "--log_kind=text"],
            [
                sys.executable,
                "-m",
                "apache_beam.runners.worker.worker_pool_main",
                f"--service_port={pool_port}",
            ],
        )
        self._processes = [
            subprocess.Popen(command, stdout=self._log, stderr=self._log, env=os.environ | paths)
            for command in commands
        ]
        self.pool = self._processes[1].pid
        self.arguments = BeamSection(
            runner="PortableRunner",
            job_endpoint=f"localhost:{job_port}",
            worker_pool=f"localhost:{pool_port}",
        ).pipeline_args
        for port in (job_port, pool_port):
            wait_for(lambda port=port: is_open(port))

    def workers(self) -> list[int]:
        """The ids of the worker processes."""
        threads = Path(f"/proc/{self.pool}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text(encoding="ascii").split()]

    def stop(self) -> None:
        """Ends both processes; the pool ends its workers."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)
        self._log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def wait_for(there: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    started = Engine(tmp_path_factory.mktemp("engine"))
    yield started
    started.stop()


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of all files below a directory by their relative path."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def data_artifacts(sample: Path, root: Path, beam: Sequence[str], copy: bool) -> dict[str, bytes]:
    """What ExampleGen and StatisticsGen write, kept checks included, with ROOT in place of the run's directory."""
    from tfx.orchestration import metadata
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    from components.example_gen.component import YouTube8MExampleGen
    from components.example_validator.component import validation_steps

    root.mkdir()
    generator = YouTube8MExampleGen([f"{sample}/train*"], [f"{sample}/validate*"], eval_share=0.5, copy=copy)
    validation = validation_steps(generator.outputs["summaries"])
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="data",
            pipeline_root=str(root / "artifacts"),
            components=[generator, *validation],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(root / "m.db")),
            beam_pipeline_args=list(beam),
        )
    )
    steps = ("YouTube8MExampleGen", "StatisticsGen", "checked")
    return {
        f"{step}/{path}": content.replace(str(root).encode(), b"ROOT")
        for step in steps
        for path, content in contents(root / "artifacts" / step).items()
        if not path.startswith(".system")
        and not path.endswith(".pickle")  # TFDV's objects, which the statistics are made of
    }


def statistics_in_words(content: bytes) -> list[float | str]:
    """The statistics of the features in the order of their names, as words and numbers."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    found = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
    for dataset in found.datasets:
        dataset.features.sort(key=lambda feature: [*feature.path.step])
    return [number(word) for word in str(found).split()]


def number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


@pytest.mark.parametrize("copy", [False, True])
def test_examples_have_the_same_bytes_and_statistics_are_the_same(
    engine: Engine, tiny_sample: Path, tmp_path: Path, copy: bool
) -> None:
    expected = data_artifacts(tiny_sample, tmp_path / "direct", DIRECT, copy)
    found = data_artifacts(tiny_sample, tmp_path / "portable", engine.arguments, copy)
    assert found.keys() == expected.keys()
    same = [name for name, content in expected.items() if found[name] == content]
    assert [name for name in expected if name not in same and not name.startswith("StatisticsGen")] == []
    statistics = [name for name in expected if name.startswith("StatisticsGen")]
    kept = [name for name in expected if name.startswith("checked")]
    assert len(kept) == 2 * 8, "check and summaries of each file"
    assert len(expected) - len(statistics) - len(kept) == (8 + 8 if copy else 2 + 2) + 3, (
        "shards or manifests of examples and of summaries; report, distributions, rejects"
    )
    assert len(statistics) == 2
    for name in statistics:
        words, others = statistics_in_words(expected[name]), statistics_in_words(found[name])
        assert len(words) > 100
        for word, other in zip(words, others, strict=True):
            # Sums of floats, whose last digits the order decides.
            assert other == (pytest.approx(word, rel=1e-9) if isinstance(word, float) else word)


def test_the_evaluator_finds_the_same(engine: Engine, evaluate, tmp_path: Path) -> None:
    outcomes = [
        evaluate(with_baseline=True, max_gap_drop=0.0, beam=beam, out=tmp_path / name)
        for name, beam in (("direct", DIRECT), ("portable", engine.arguments))
    ]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].results["candidate"]["gap"] > outcomes[0].results["baseline"]["gap"]


def test_the_teacher_says_the_same(engine: Engine, tmp_path: Path) -> None:
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.teacher.teaching import teach

    models, shards = write_teachers(tmp_path / "models"), write_teacher_shards(tmp_path)
    for name, beam in (("direct", DIRECT), ("portable", engine.arguments)):
        teach(
            models,
            shards,
            str(tmp_path / name),
            CONFIG,
            lambda beam=beam: apache_beam.Pipeline(options=PipelineOptions(list(beam))),
        )
    expected = contents(tmp_path / "direct")
    assert len(expected) == len(shards) + 1, "a part for each file, and the manifest"
    assert contents(tmp_path / "portable") == expected


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """A model, and files of videos."""
    directory, generator = tmp_path_factory.mktemp("inference"), np.random.default_rng(0)
    model = write_tiny_model(str(directory / "model"))
    files = [str(directory / f"{index}.tfrecord") for index in range(12)]
    for index, path in enumerate(files):
        videos = [random_example(generator, 1 + n % 3, (), f"v{index}-{n}".encode()) for n in range(60)]
        write_tfrecords(path, videos)
    return model, files


def infer(inference: tuple[str, list[str]], out: Path, beam: Sequence[str]) -> dict[str, bytes]:
    from components.batch_inference.run import infer_with_beam

    out.mkdir(exist_ok=True)
    infer_with_beam(*inference, str(out / "predictions.csv"), beam, batch_size=8)
    return contents(out)


def test_predictions_have_the_same_bytes_also_when_a_worker_is_killed(
    engine: Engine, inference, tmp_path: Path
) -> None:
    expected = infer(inference, tmp_path / "direct", DIRECT)
    assert len(expected["predictions.csv"].splitlines()) == 1 + 12 * 60
    assert infer(inference, tmp_path / "portable", engine.arguments) == expected

    out, before, killed = tmp_path / "killed", set(engine.workers()), []

    def kill_a_worker() -> None:
        """Kills the worker of the next job when it has made its first part."""
        wait_for(lambda: [*out.rglob("*.parquet")])
        for worker in set(engine.workers()) - before:
            os.kill(worker, signal.SIGKILL)
            killed.append(len([*out.rglob("*.parquet")]))

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    try:
        found = infer(inference, out, engine.arguments)
    except RuntimeError:  # the engine gave the job up: the same command goes on
        found = infer(inference, out, engine.arguments)
    killer.join()
    assert killed
    assert killed[0] < 12, "it was in the middle of its work"
    assert found == expected
