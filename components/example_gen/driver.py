"""TFX's file-based driver, which finds the newest span and fingerprints the files, with our error texts."""

from typing import Any

from tfx.components.example_gen.driver import FileBasedDriver

from trainer.base.errors import UserError


class Driver(FileBasedDriver):
    """Says in one line what is wrong with patterns and spans."""

    def resolve_exec_properties(self, exec_properties: dict[str, Any], *args: Any) -> dict[str, Any]:
        """Puts the span into the patterns and adds the fingerprint of the files, on which caching rests."""
        try:
            return super().resolve_exec_properties(exec_properties, *args)
        except ValueError as error:
            base = exec_properties["input_base"]
            raise UserError(f"data below {base}: {error}; check the patterns and their {{SPAN}}") from error
