"""The Pusher's executor: unpacks artifacts and calls."""

import json
import logging

from tfx.components.util import model_utils

from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from components.pusher.device_file import device_file
from components.pusher.files import LITERT_FILE, REFERENCE_FILE
from components.pusher.model_card import UNKNOWN, model_card
from components.pusher.push import push
from components.pusher.reference import reference
from components.remote_tree import local_tree
from components.step_executor import Step, StepExecutor
from serving.export.card import ModelCard

_logger = logging.getLogger("yt8m.pusher")


class Executor(StepExecutor):
    """Pushes a candidate that both judges blessed; see `push`."""

    def run(self, step: Step) -> None:
        """Pushes the model if both blessings say so, and says what was done in the properties of TFX's Pusher."""
        base = step.parameters["push_destination"]
        blessings = {
            "the Evaluator": model_utils.is_model_blessed(step.input("model_blessing")),
            "the ModelServerValidator": model_utils.is_infra_validated(step.input("infra_blessing")),
        }
        evaluation, data, ensemble = (
            step.optional_input_dir(key) for key in ("evaluation", "data", "ensemble")
        )
        with local_tree(step.input_model("model")) as directory:
            # Only of a model that will be pushed: making it takes minutes.
            wanted = step.parameters.get("litert_weights") if all(blessings.values()) else None
            litert = device_file(directory, wanted, step.files(step.parameters["split"])) if wanted else None
            text = model_card(
                ModelCard.load(directory),
                model_name=step.parameters["model_name"],
                data_licence=step.parameters["data_licence"],
                model_licence=step.parameters.get("model_licence") or UNKNOWN,
                evaluation=EvaluationResults.read(evaluation) if evaluation else None,
                data=ExampleGenReport.read(data) if data else None,
                litert=litert,
            )
            found = reference(data, ensemble) if data else None
            extra = {REFERENCE_FILE: json.dumps(found.document()).encode()} if found else {}
            if litert:
                extra[LITERT_FILE] = litert.content
            result = push(directory, base, blessings, text, extra)
        pushed_model = step.output("pushed_model")
        pushed_model.set_int_custom_property("pushed", int(result.pushed))
        if result.pushed:
            pushed_model.set_string_custom_property("pushed_destination", result.destination)
            pushed_model.set_string_custom_property("pushed_version", str(result.version))
        result.write(pushed_model.uri)
        _logger.info("push to %s: %s", base, result.reason)
