"""What to try when a step fails and nobody knows why."""

import errno
from collections.abc import Mapping
from types import MappingProxyType

from trainer.base.full_disk import causes, full_disk

AGAIN = "the same command again keeps all steps that are done; yt8m -v shows what the libraries say"

_BY_ERRNO = {
    errno.EACCES: "see that the files named may be read and written; then the same command goes on",
    errno.EMFILE: "raise the limit of open files (ulimit -n); then the same command goes on",
}

_NO_MEMORY = (
    "take a smaller training.batch_size or training.shuffle_buffer, fewer beam.workers, or a larger machine"
)
_MEMORY_ERRORS = ("MemoryError", "ResourceExhaustedError")


def remedy(error: BaseException, places: Mapping[str, str] = MappingProxyType({})) -> str:
    """What to try, by the first error in the chain of causes of which that is known.

    >>> remedy(PermissionError(errno.EACCES, "Permission denied"))
    'see that the files named may be read and written; then the same command goes on'

    Args:
        error: Of any kind.
        places: Directories that the user chose, by the option or setting of each; see `full_disk`.
    """
    # Before the classes: TensorFlow's for a lack of memory is also its one for a full disk.
    if full := full_disk(error, places):
        return full
    for one in causes(error):
        # By name: TensorFlow's class would have to be imported.
        if any(parent.__name__ in _MEMORY_ERRORS for parent in type(one).__mro__):
            return _NO_MEMORY
        if isinstance(one, OSError) and one.errno in _BY_ERRNO:
            return _BY_ERRNO[one.errno]
    return AGAIN
