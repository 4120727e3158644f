"""From a Trainer's snapshots to the SavedModel of the best candidate, and the report of all."""

import logging
import tempfile
from collections.abc import Sequence

from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.report import AveragingReport
from components.checkpoint_averager.search import Search, Weights, search
from serving.export.saved_model import Member, write_saved_model
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import Snapshot, list_snapshots, open_snapshot, read_planned_steps
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
) -> AveragingReport:
    """Writes the best single snapshot or average of snapshots as a float32 SavedModel.

    Args:
        snapshot_dir: Local directory of one model's snapshots, with its `model.json`.
        eval_files: TFRecord files of the eval split.
        model_dir: Directory that the SavedModel is written to.
        config: Says which single snapshots and which ranges are evaluated.
        train_files: TFRecord files of the train split; used where `config.batch_norm_videos` is set.

    Returns:
        All candidates and the best of them. A damaged snapshot is left out, and a warning says so.

    Raises:
        UserError: If there is no whole (and finite) snapshot or no video.
    """
    snapshots = list_snapshots(snapshot_dir)
    if not snapshots:
        raise UserError(
            f"there is no snapshot in {snapshot_dir}: they are removed once they have been averaged. To average them "
            "otherwise, train anew with training.keep_snapshots=true"
        )
    planned = read_planned_steps(snapshot_dir)
    damaged: list[int] = []
    with tempfile.TemporaryDirectory(prefix="yt8m-averages-") as scratch:
        while True:
            try:
                spec = ModelSpec.load(snapshot_dir, open_snapshot(snapshots[0].prefix).shapes)
                found, videos = _search(spec, snapshots, planned, eval_files, train_files, config, scratch)
                break
            except DamagedCheckpointError as error:
                # Found when it is read: to read all of them once more beforehand would cost every run.
                (bad,) = (one for one in snapshots if one.prefix == error.prefix)
                _logger.warning("step %d is left out, its snapshot is damaged: %s", bad.step, error)
                damaged.append(bad.step)
                snapshots = [one for one in snapshots if one is not bad]
                planned = [step for step in planned if step != bad.step]
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
    return AveragingReport(
        variant=spec.name,
        videos=videos,
        candidates=found.candidates,
        best=best,
        best_single=found.best_of("single"),
        best_average=found.best_of("average"),
        damaged=tuple(sorted(damaged)),
    )


def _search(
    spec: ModelSpec,
    snapshots: Sequence[Snapshot],
    planned: Sequence[int],
    eval_files: Sequence[str],
    train_files: Sequence[str],
    config: AveragingConfig,
    scratch: str,
) -> tuple[Search, int]:
    """Searches, and counts the videos; the scorer and its copy of the model are gone when this returns."""
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

    return search(snapshots, config, measure, scratch, settle, planned), videos
