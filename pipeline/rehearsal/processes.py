"""Runs the processes of tasks, each with its children in a process group that ends with it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO

_GRACE_SECONDS = 10


class StoppedError(Exception):
    """The rehearsal is being stopped."""


class Processes:
    """Starts commands, and can end all of them."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def run(self, command: Sequence[str], directory: str, log: BinaryIO) -> int:
        """Runs a command to its end.

        Args:
            command: The command; its `python` is the interpreter that runs this process.
            directory: The working directory of the command.
            log: The file that gets a line with the process' id, then all that the process prints.

        Returns:
            The exit code, or the negative number of the signal that killed the process.

        Raises:
            StoppedError: If `stop` was called meanwhile.
        """
        with self._lock:
            if self._stopping.is_set():
                raise StoppedError
            process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}"},
                start_new_session=True,
            )
            self._running.add(process)
        log.write(f"--- process {process.pid}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        log.flush()
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        # What it started does not outlive it, as in a pod.
        _signal(process, signal.SIGKILL)
        if self._stopping.is_set():
            raise StoppedError
        return code

    def sleep(self, seconds: float) -> None:
        """Waits for so many seconds; raises StoppedError if `stop` is called meanwhile."""
        if self._stopping.wait(seconds):
            raise StoppedError

    def stop(self) -> None:
        """Ends everything that runs: it asks first, and kills what has not ended ten seconds later."""
        with self._lock:
            self._stopping.set()
            running = [*self._running]
        for process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
