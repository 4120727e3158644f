"""From a Trainer's snapshots to the SavedModel of the best candidate, and the report of all."""

import dataclasses
import logging
import tempfile
from collections.abc import Sequence
from typing import Any

from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.search import Search, Weights, search
from serving.export.saved_model import Member, write_saved_model
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import Snapshot, list_snapshots, open_snapshot
from trainer.checkpoints.tensor_bundle import DamagedCheckpointError
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec

_logger = logging.getLogger("yt8m.averager")


def average_checkpoints(
    snapshot_dir: str,
    eval_files: Sequence[str],
    model_dir: str,
    config: AveragingConfig,
    train_files: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes the best single snapshot or average of snapshots as a float32 SavedModel.

    Args:
        snapshot_dir: Local directory of one model's snapshots, with its `model.json`.
        eval_files: TFRecord files of the eval split.
        model_dir: Where the SavedModel goes.
        config: Which candidates are tried.
        train_files: Likewise of the train split; used where `config.batch_norm_videos` is set.

    Returns:
        The report: {variant, videos, candidates: [{kind, first_step, last_step, snapshots, gap}], best,
        best_single, best_average, damaged: [step]}; best_single and best_average are None where no such candidate
        was tried. A damaged snapshot is left out, and a warning says so.

    Raises:
        UserError: If there is no whole (and finite) snapshot or no video.
    """
    snapshots = list_snapshots(snapshot_dir)
    if not snapshots:
        raise UserError(
            f"there is no snapshot in {snapshot_dir}: training.snapshot_every must not be larger than "
            "training.steps"
        )
    damaged: list[int] = []
    with tempfile.TemporaryDirectory(prefix="yt8m-averages-") as scratch:
        while True:
            try:
                spec = ModelSpec.load(snapshot_dir, open_snapshot(snapshots[0].prefix).shapes)
                found, videos = _search(spec, snapshots, eval_files, train_files, config, scratch)
                break
            except DamagedCheckpointError as error:
                # Found when it is read: to read all of them once more beforehand would cost every run.
                (bad,) = (one for one in snapshots if one.prefix == error.prefix)
                _logger.warning("step %d is left out, its snapshot is damaged: %s", bad.step, error)
                damaged.append(bad.step)
                snapshots = [one for one in snapshots if one is not bad]
                if not snapshots:
                    raise UserError(f"no snapshot in {snapshot_dir} is whole: {error}") from error
        best = found.best
        _logger.info("%s: best is the %s, GAP %.4f on %d videos", spec, best, best.gap, videos)
        member = Member(
            spec=spec,
            weights=found.weights,
            gap=best.gap,
            first_step=best.first_step,
            last_step=best.last_step,
            snapshots=best.snapshots,
        )
        write_saved_model(model_dir, [member])
    single, average = found.best_of("single"), found.best_of("average")
    return {
        "variant": spec.name,
        "videos": videos,
        "candidates": [dataclasses.asdict(candidate) for candidate in found.candidates],
        "best": dataclasses.asdict(best),
        "best_single": single and dataclasses.asdict(single),
        "best_average": average and dataclasses.asdict(average),
        "damaged": sorted(damaged),
    }


def _search(
    spec: ModelSpec,
    snapshots: Sequence[Snapshot],
    eval_files: Sequence[str],
    train_files: Sequence[str],
    config: AveragingConfig,
    scratch: str,
) -> tuple[Search, int]:
    """The search and the number of videos; the scorer's copy of the model ends with this function."""
    scorer = Scorer(spec)
    videos = 0

    def measure(weights: Weights) -> float:
        nonlocal videos
        scorer.load(weights)
        metrics = evaluate(scorer, eval_files, config.batch_size)
        videos = metrics.videos
        return metrics.gap

    def settle(weights: Weights) -> Weights:
        if not config.batch_norm_videos:
            return weights
        scorer.load(weights)
        batches = eval_batches(
            train_files, config.batch_size, spec.num_classes, limit=config.batch_norm_videos
        )
        return {**weights, **scorer.statistics(batches)}

    return search(snapshots, config, measure, scratch, settle), videos
