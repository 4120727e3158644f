"""What to try when a step fails and nobody knows why."""

import errno
from collections.abc import Iterator

AGAIN = "the same command again keeps all steps that are done; yt8m -v shows what the libraries say"

_BY_ERRNO = {
    errno.ENOSPC: "make room on the disk, or give another --root; then the same command goes on",
    errno.EDQUOT: "make room within the disk quota, or give another --root; then the same command goes on",
    errno.EACCES: "see that the files named may be read and written; then the same command goes on",
    errno.EMFILE: "raise the limit of open files (ulimit -n); then the same command goes on",
}

_NO_MEMORY = (
    "take a smaller training.batch_size or training.shuffle_buffer, fewer beam.workers, or a larger machine"
)
_MEMORY_ERRORS = ("MemoryError", "ResourceExhaustedError")


def remedy(error: BaseException) -> str:
    """What to try, by the first error in the chain of causes of which that is known.

    >>> remedy(OSError(errno.ENOSPC, "No space left on device"))
    'make room on the disk, or give another --root; then the same command goes on'
    """
    for one in _causes(error):
        # By name: TensorFlow's class would have to be imported.
        if any(parent.__name__ in _MEMORY_ERRORS for parent in type(one).__mro__):
            return _NO_MEMORY
        if isinstance(one, OSError) and one.errno in _BY_ERRNO:
            return _BY_ERRNO[one.errno]
    return AGAIN


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
