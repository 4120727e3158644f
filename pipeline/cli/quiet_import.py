"""Imports TensorFlow without the log lines that it writes to standard error whatever its environment says.

TensorFlow 2.21 logs six lines (the CPU's instructions, no GPU) while it is loaded: before its own log is set up,
TF_CPP_MIN_LOG_LEVEL does not count. They come from C++, so they are taken away below Python, from file descriptor 2.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_LOG_LINE = re.compile(rb"[IWE]\d{4} \d\d:\d\d:|WARNING: All log messages before absl::InitializeLog\(\)")


class QuietImport(MetaPathFinder):
    """Finds one package, and lets its first import log nothing.

    Other lines, such as this program's own ones from another thread, come when the import is over.

    Args:
        package: Its name.
        is_verbose: Asked at the import; where it says yes, everything is written as it comes.
    """

    def __init__(self, package: str, is_verbose: Callable[[], bool]) -> None:
        self._package = package
        self._is_verbose = is_verbose

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of the package; of any other one None, for the finders that follow."""
        if fullname != self._package or self._is_verbose():
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _quiet(spec.loader.exec_module)
        return spec

    def install(self) -> None:
        """From now on, in this process."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, QuietImport)]
        sys.meta_path.insert(0, self)


def _quiet(load: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def loaded(module: ModuleType) -> None:
        with without_log_lines():
            load(module)

    return loaded


@contextmanager
def without_log_lines() -> Iterator[None]:
    """Holds back what is written to file descriptor 2, and in the end writes it without the lines of C++ logs."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            if rest := b"".join(line for line in held if not _LOG_LINE.match(line)):
                os.write(2, rest)
