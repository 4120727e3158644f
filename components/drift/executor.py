"""The executor of DriftCheck: unpacks artifacts and calls."""

import json
import logging
import posixpath

from components.baseline.executor import VERSION_PROPERTY
from components.drift.comparison import compare, moved_classes
from components.drift.report import DriftReport
from components.example_gen.distribution import Distributions
from components.pusher.reference import Reference
from components.step_executor import Step, StepExecutor
from serving.export.vocabulary import Vocabulary
from trainer.base.errors import UserError
from trainer.base.files import exists

_logger = logging.getLogger("yt8m.drift")


class Executor(StepExecutor):
    """Compares the newest span with what the served model was trained on; see `compare`."""

    def run(self, step: Step) -> None:
        """Writes the report.

        Raises:
            UserError: There is drift, and the recipe says to stop then; or the served model has other classes.
        """
        data = step.input_dir("data")
        if not exists(posixpath.join(data, Distributions.FILE)):
            _logger.info(
                "drift: ExampleGen's report is from the cache, of an earlier release, which knew no drift"
            )
            DriftReport(videos=0, served_version=None).write(step.output_dir("report"))
            return
        found = Distributions.read(data)
        new = found.newest
        report = DriftReport(span=found.span, videos=new.videos, served_version=None)
        if step.inputs.get("baseline"):
            model = step.input_model("baseline")
            if exists(posixpath.join(model, Reference.FILE)):
                names = step.parameters.get("vocabulary")
                old = Reference.read(model).trained
                version = step.input("baseline").get_int_custom_property(VERSION_PROPERTY)
                if len(old.classes) != len(new.classes):
                    raise UserError(
                        f"version {version}, which is served, has {len(old.classes)} classes, and data.num_classes is "
                        f"{len(new.classes)}: set the same, or push to another push.directory"
                    )
                report = DriftReport(
                    span=found.span,
                    videos=new.videos,
                    served_version=version,
                    served_videos=old.videos,
                    measures=tuple(compare(new, old, json.loads(step.parameters["thresholds"]))),
                    moved=tuple(
                        moved_classes(new.classes, old.classes, Vocabulary.load(names) if names else None)
                    ),
                )
        report.write(step.output_dir("report"))
        if alert := report.alert:
            _logger.warning("drift: %s", alert)
            if step.parameters["stop"]:
                raise UserError(
                    f"{alert}; nothing is trained (drift.stop). If the new videos are right, run with "
                    "--set drift.stop=false"
                )
        elif report.measures:
            _logger.info("drift: none against version %d", report.served_version)
        else:
            _logger.info(
                "drift: no served model says what it was trained on, so there is nothing to compare with"
            )
