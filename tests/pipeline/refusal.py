"""What a user is told whose run is refused."""

import pytest

from pipeline.local.preflight import check_before_run
from pipeline.recipe.recipe import Recipe
from trainer.base.errors import UserError


def refusal(recipe: Recipe, root: object) -> str:
    """Returns the one line that a run is refused with."""
    with pytest.raises(UserError) as raised:
        check_before_run(recipe, str(root))
    assert "\n" not in str(raised.value)
    return str(raised.value)
