import errno

import pytest

from pipeline.local.remedies import AGAIN, remedy


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def caused(cause: BaseException) -> BaseException:
    try:
        try:
            raise cause
        except type(cause) as error:
            raise RuntimeError("a library's words") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (OSError(errno.ENOSPC, "full"), "make room on the disk that is full, probably that of TMPDIR (/"),
        (OSError(errno.EDQUOT, "quota"), "make room"),
        (
            ResourceExhaustedError("/x/y.data; No space left on device [Op:SaveV2]"),
            "make room on the full disk of /",
        ),
        (RuntimeError("OSError: [Errno 28] No space left on device [while running 'Write']"), "make room"),
        (PermissionError(errno.EACCES, "no"), "may be read and written"),
        (OSError(errno.EMFILE, "many"), "ulimit -n"),
        (MemoryError(), "training.batch_size"),
        (ResourceExhaustedError("OOM"), "training.batch_size"),
        (ZeroDivisionError(), AGAIN),
        (OSError("without a number"), AGAIN),
    ],
)
def test_what_to_try_is_found_behind_what_a_library_made_of_it(error: BaseException, part: str) -> None:
    assert part in remedy(error)
    assert part in remedy(caused(error))
