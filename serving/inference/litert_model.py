"""A LiteRT file in LiteRT's interpreter.

Legend: V classes.
"""

import os
import threading
import zipfile
from typing import ClassVar

import numpy as np

from serving.inference.device_model import INPUTS, OUTPUTS, DeviceModel
from trainer.base.errors import UserError


class LiteRtModel(DeviceModel):
    """A LiteRT file of this project.

    Args:
        path: Local path of the file.
        threads: Number of threads of the interpreter.
        packed: Whether XNNPACK runs the model, which is several times as fast and keeps a second copy of all kernels,
            packed for it. Otherwise kernels of int8 are multiplied where the file is mapped.

    Raises:
        UserError: There is no such file, or it is no LiteRT model of this project.
    """

    RUNTIME: ClassVar[str] = "LiteRT"

    def __init__(self, path: str, threads: int = 1, packed: bool = False) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if not os.path.isfile(path):
            raise UserError(f"there is no file {path}: give what yt8m export --litert wrote")
        try:
            kernels = OpResolverType.AUTO if packed else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=kernels)
            signature = next(iter(interpreter.get_signature_list().values()), {"inputs": (), "outputs": ()})
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{path} is no LiteRT model ({' '.join(str(error).split())}): export it again"
            ) from None
        if set(signature["inputs"]) != INPUTS or set(signature["outputs"]) != OUTPUTS:
            raise UserError(f"{path} is no model of this project: give what yt8m export --litert wrote")
        self._run = interpreter.get_signature_runner()
        self._lock = threading.Lock()
        self.names = _class_names(path)

    def run(self, rgb: np.ndarray, audio: np.ndarray, num_frames: np.ndarray) -> dict[str, np.ndarray]:
        """See `DeviceModel`."""
        with self._lock:  # an interpreter has one set of buffers
            return self._run(rgb=rgb, audio=audio, num_frames=num_frames)


def _class_names(path: str) -> np.ndarray | None:
    """The names in the file's archive, bytes objects [V]; None where it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return np.array(archive.read("labels.txt").splitlines(), object)
    except (zipfile.BadZipFile, KeyError):
        return None
