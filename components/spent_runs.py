"""Training runs that are of no further use, as inputs of the step that removes what was only kept for the averager.

The step after the averager does it: once that step starts, the averager's model is published, so that whatever is
killed meanwhile, either the snapshots are whole or the model that was made of them is.
"""

import posixpath
from typing import TYPE_CHECKING

from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter

from trainer.checkpoints.removal import remove_checkpoints
from trainer.training.loop import SNAPSHOTS, STATE

if TYPE_CHECKING:
    from components.step_executor import Step

SPENT_RUNS = {
    key: ChannelParameter(type=standard_artifacts.ModelRun, optional=True)
    for key in ("spent_run", "spent_first_half")
}
"""The inputs, by key: the run that was averaged and, with the stop rule, the run of its first half."""


def remove_spent(step: "Step") -> None:
    """Removes snapshots and training states of the spent runs that a step was given; their logs stay."""
    for key in SPENT_RUNS:
        if run := step.optional_input_dir(key):
            for part in (SNAPSHOTS, STATE):
                remove_checkpoints(posixpath.join(run, part))
