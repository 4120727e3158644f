"""Components for the runner's tests; a module of its own, because TFX imports executors by their path."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model

from trainer.base.errors import UserError


@component
def Write(text: Parameter[str], model: OutputArtifact[Model]) -> None:  # noqa: N802
    with open(f"{model.uri}/text", "w", encoding="utf-8") as file:
        file.write(text)


@component
def Check(mood: Parameter[str], model: InputArtifact[Model]) -> None:  # noqa: N802
    if mood == "refuse":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise UserError("the text is wrong, in the model; write another") from error
    if mood == "interrupt":
        raise KeyboardInterrupt
    if mood == "fill the disk":
        import numpy as np

        from trainer.checkpoints.snapshots import write_snapshot

        write_snapshot(model.uri, 1, {"a": np.zeros(2**20, np.float32)})
    if mood == "break":
        raise ZeroDivisionError(model.uri)
