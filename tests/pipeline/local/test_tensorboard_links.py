import logging
import os
import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from pipeline.local.node_progress import NodeTime
from pipeline.local.run_outputs import NodeOutput, OutputArtifact
from pipeline.local.tensorboard_links import TensorBoardLinks
from trainer.training.progress import TrainingProgress


def write_events(logs: Path, *losses: float) -> Path:
    """An event file with a loss a step, as the Trainer leaves one."""
    writer = EventFileWriter(str(logs))
    for step, loss in enumerate(losses):
        value = summary_pb2.Summary.Value(tag="loss", simple_value=loss)
        writer.add_event(
            event_pb2.Event(wall_time=step, step=step, summary=summary_pb2.Summary(value=[value]))
        )
    writer.close()
    return logs


def shown(base: Path) -> dict[str, list[float]]:
    """What TensorBoard shows of a directory: the losses of each run, by its name."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(base / "tensorboard"))
    multiplexer.Reload()
    return {
        run: [event.tensor_proto.float_val[0] for event in multiplexer.Tensors(run, "loss")]
        for run in multiplexer.Runs()
    }


def tell(links: TensorBoardLinks, progress: object) -> None:
    record = logging.LogRecord("yt8m.train", logging.INFO, "", 0, "text", None, None)
    record.progress = progress
    links.emit(record)


def trains(variant: str, logs: Path) -> TrainingProgress:
    return TrainingProgress(
        variant=variant, step=1, steps=2, videos_per_second=1, seconds_left=1, gap=None, logs=str(logs)
    )


def work(base: Path, variant: str) -> Path:
    return base / f"work/Trainer-{variant}/0123/logs"


def artifact(base: Path, variant: str, number: int) -> Path:
    return base / f"artifacts/Trainer-{variant}/model_run/{number}/logs"


def test_variants_are_runs_by_their_names_while_and_after_they_train(tmp_path: Path) -> None:
    links = TensorBoardLinks(tmp_path)
    tell(links, trains("K2-H4", write_events(work(tmp_path, "K2-H4"), 3.0)))
    assert shown(tmp_path) == {"K2-H4": [3.0]}
    write_events(artifact(tmp_path, "K2-H4", 9), 7.0)  # an older run's: 9 is before 10
    artifact(tmp_path, "K2-H4", 10).parent.mkdir()
    shutil.move(work(tmp_path, "K2-H4"), artifact(tmp_path, "K2-H4", 10))
    tell(links, NodeTime("Trainer-K2-H4", 1.0, cached=False))
    tell(links, trains("K4-H4", write_events(work(tmp_path, "K4-H4"), 2.0, 1.0)))
    assert shown(tmp_path) == {"K2-H4": [3.0], "K4-H4": [2.0, 1.0]}


def test_after_a_run_the_links_are_those_of_its_artifacts(tmp_path: Path) -> None:
    mine, later = (write_events(artifact(tmp_path, "K2-H4", n), float(n)) for n in (3, 5))
    links = TensorBoardLinks(tmp_path)
    tell(links, NodeTime("Trainer-K2-H4", 0.1, cached=True))
    assert shown(tmp_path) == {}
    run = OutputArtifact(id=1, type="ModelRun", uri=str(mine.parent))
    node = NodeOutput(state="done", started=0, last_sign=0, artifacts={"model_run": [run]})
    failed = NodeOutput(state="failed", started=0, last_sign=0, artifacts={})
    links.link_outputs({"Trainer-K2-H4": node, "Trainer-K4-H4": failed, "Pusher": node})
    assert shown(tmp_path) == {"K2-H4": [3.0]}
    assert later.is_dir()


def test_the_directory_may_be_moved(tmp_path: Path) -> None:
    links = TensorBoardLinks(tmp_path / "a")
    tell(links, trains("K2-H4", write_events(work(tmp_path / "a", "K2-H4"), 3.0)))
    (tmp_path / "a").rename(tmp_path / "b")
    assert shown(tmp_path / "b") == {"K2-H4": [3.0]}


def test_what_a_killed_run_left_hanging_goes_and_the_rest_stays(tmp_path: Path) -> None:
    links = TensorBoardLinks(tmp_path)
    for variant in ("K2-H4", "K4-H4"):
        tell(links, trains(variant, write_events(work(tmp_path, variant), 3.0)))
    shutil.rmtree(work(tmp_path, "K2-H4"))
    (tmp_path / "tensorboard/.K2-H4").symlink_to("nowhere")  # killed between the two halves of a replacement
    tell(TensorBoardLinks(tmp_path), trains("K4-H4", work(tmp_path, "K4-H4")))
    assert os.listdir(tmp_path / "tensorboard") == ["K4-H4"]


def test_a_link_is_never_missing_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = TensorBoardLinks(tmp_path)
    link = tmp_path / "tensorboard/K2-H4"
    tell(links, trains("K2-H4", write_events(artifact(tmp_path, "K2-H4", 1), 1.0)))
    replace, there = Path.replace, []

    def watched(self: Path, target: Path) -> Path:
        there.append(link.exists())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    tell(links, trains("K2-H4", write_events(artifact(tmp_path, "K2-H4", 2), 2.0)))
    assert there == [True]
    assert shown(tmp_path) == {"K2-H4": [2.0]}


def test_what_is_in_the_way_stops_no_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    links = TensorBoardLinks(tmp_path)
    (tmp_path / "tensorboard/K2-H4").mkdir()
    tell(links, trains("K2-H4", write_events(work(tmp_path, "K2-H4"), 3.0)))
    assert "TensorBoard will not show K2-H4" in caplog.text
