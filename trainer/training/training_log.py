"""What a training tells as it goes on: lines, their values for live views, and points for TensorBoard."""

import logging
import time

import tensorflow as tf

from trainer.training.config import TrainingConfig
from trainer.training.optimizer import learning_rate
from trainer.training.progress import TrainingProgress
from trainer.training.step import StepResult

_SECONDS_BETWEEN_GLANCES = 2.0

_logger = logging.getLogger("yt8m.train")


class TrainingLog:
    """Writes progress lines and TensorBoard's points.

    Args:
        variant: Name of the model's architecture.
        config: Settings of the training.
        directory: Directory of TensorBoard's event files.
        done: Number of steps done before.
    """

    def __init__(self, variant: str, config: TrainingConfig, directory: str, done: int) -> None:
        self._variant = variant
        self._config = config
        self._directory = directory
        self._gap: float | None = None
        self._writer = tf.summary.create_file_writer(directory)
        self._since = time.monotonic()
        self._done = done
        self._mark: tuple[int, float] | None = None
        """A step, and when it ended, from which on speed is measured for a glance."""
        self._next_glance = 0.0
        _logger.debug("%s begins", variant, extra={"progress": self._progress(done)})

    def glance(self, done: int, result: StepResult) -> None:
        """Shows step, speed and time left every few seconds between two logged lines, to live views alone."""
        now = time.monotonic()
        if self._mark is None:  # the first step takes longer than others, since TensorFlow compiles it
            self._mark, self._next_glance = (done, now), now + _SECONDS_BETWEEN_GLANCES
        if now < self._next_glance:
            return
        float(result.loss)  # on a GPU the step may be under way still
        first, then = self._mark
        now = time.monotonic()
        videos, left = self._speed(first, done, now - then)
        self._next_glance = now + _SECONDS_BETWEEN_GLANCES
        _logger.debug(
            "%s: step %d", self._variant, done, extra={"progress": self._progress(done, videos, left)}
        )

    def step(self, done: int, result: StepResult) -> None:
        """Tells loss, norm of the gradient, speed and time left after a step."""
        loss, norm = float(result.loss), float(result.gradient_norm)
        now = time.monotonic()
        videos, left = self._speed(self._done, done, max(now - self._since, 1e-9))
        self._since, self._done = now, done
        self._mark, self._next_glance = (done, now), now + _SECONDS_BETWEEN_GLANCES
        with self._writer.as_default(step=done):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("learning_rate", learning_rate(self._config, done - 1))
            tf.summary.scalar("gradient_norm", norm)
            tf.summary.scalar("examples_per_second", videos)
        _logger.info(
            "%s: step %d of %d (%d %%), loss %.3f, %.0f videos/s, %.0f s left",
            self._variant,
            done,
            self._config.steps,
            100 * done // self._config.steps,
            loss,
            videos,
            left,
            extra={"progress": self._progress(done, videos, left)},
        )

    def evaluation(self, done: int, gap: float, videos: int) -> None:
        """Tells the GAP on so many videos of the eval split after a step."""
        with self._writer.as_default(step=done):
            tf.summary.scalar("gap", gap)
        self._gap = gap
        _logger.info(
            "%s: step %d, GAP %.4f on %d eval videos",
            self._variant,
            done,
            gap,
            videos,
            extra={"progress": self._progress(done)},
        )

    def close(self) -> None:
        """Ends the file of events."""
        self._writer.close()

    def _speed(self, first: int, done: int, seconds: float) -> tuple[float, float]:
        """Returns the videos a second since a step, and the seconds that the rest takes at this speed."""
        seen = self._config.videos(done)
        rate = (seen - self._config.videos(first)) / seconds
        return rate, (self._config.videos(self._config.steps) - seen) / rate

    def _progress(
        self, done: int, videos_per_second: float | None = None, seconds_left: float | None = None
    ) -> TrainingProgress:
        return TrainingProgress(
            variant=self._variant,
            step=done,
            steps=self._config.steps,
            videos_per_second=videos_per_second,
            seconds_left=seconds_left,
            gap=self._gap,
            logs=self._directory,
        )
