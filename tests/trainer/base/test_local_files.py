"""What is said of local files that cannot be opened."""

import pytest

from trainer.base.errors import UserError
from trainer.base.files import open_file


def test_a_file_that_may_not_be_read_is_told_as_such(monkeypatch) -> None:
    def forbidden(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(UserError, match="cannot read x: Permission denied; give this user the right to it"):
        open_file("x", "rb")
