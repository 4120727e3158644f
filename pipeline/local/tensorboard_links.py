"""A directory for TensorBoard in which each variant is one run, by its name."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.local.node_progress import NodeTime
from pipeline.local.run_outputs import NodeOutput
from trainer.training.progress import TrainingProgress

DIRECTORY = "tensorboard"
"""Of a run's directory: what TensorBoard's --logdir takes."""

_TRAINERS = ("FirstHalf-", "Trainer-")
"""What ids of nodes that train begin with; with the stop rule a variant has both, and the second one has all."""
_LOGS = "logs"

_logger = logging.getLogger("yt8m.run")


class TensorBoardLinks(logging.Handler):
    """Keeps `<base>/tensorboard/<variant>` a link to the newest event files of the variant, also while it trains.

    It takes log records that carry a TrainingProgress or a NodeTime as their attribute `progress`. A link is replaced
    in one step, so that TensorBoard never finds none.

    Args:
        base: Directory of the runs of a recipe, which has `artifacts/`.
    """

    def __init__(self, base: Path) -> None:
        super().__init__(logging.INFO)
        self._base = base
        self._linked: dict[str, Path] = {}
        (base / DIRECTORY).mkdir(parents=True, exist_ok=True)
        for link in (base / DIRECTORY).iterdir():
            if link.is_symlink() and not link.exists():  # of a run that was killed
                link.unlink()

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record of the logger `yt8m`."""
        progress = getattr(record, "progress", None)
        if isinstance(progress, TrainingProgress):
            self._link(progress.variant, Path(progress.logs))
        elif isinstance(progress, NodeTime) and progress.node.startswith(_TRAINERS) and not progress.cached:
            # What was trained has been moved to where the artifact is.
            runs = (self._base / "artifacts" / progress.node / "model_run").glob("[0-9]*")
            if newest := max(runs, key=lambda run: int(run.name), default=None):
                self._link(progress.node.partition("-")[2], newest / _LOGS)

    def link_outputs(self, outputs: Mapping[str, NodeOutput]) -> None:
        """Links what the Trainers of a run left behind, those from the cache included."""
        for prefix in _TRAINERS:
            for node, output in outputs.items():
                if node.startswith(prefix) and output.succeeded:
                    (run,) = output.uris["model_run"]
                    self._link(node.removeprefix(prefix), Path(run, _LOGS))

    def _link(self, variant: str, logs: Path) -> None:
        if self._linked.get(variant) == logs or not logs.is_dir():
            return
        link = self._base / DIRECTORY / variant
        new = link.with_name(f".{variant}")
        try:
            new.unlink(missing_ok=True)
            # Relative: the directory may be moved.
            new.symlink_to(os.path.relpath(logs, link.parent))
            new.replace(link)
        except OSError as error:
            _logger.warning("TensorBoard will not show %s: %s", variant, error)
        self._linked[variant] = logs
