"""An ONNX file in ONNX Runtime."""

from typing import ClassVar

import numpy as np

from serving.inference.device_model import DeviceModel


class OnnxModel(DeviceModel):
    """An ONNX file of this project, as `serving.export.onnx_file.write_onnx` makes it.

    Args:
        path: Local path of the file.
        threads: Number of threads within an operation.
    """

    RUNTIME: ClassVar[str] = "ONNX Runtime"

    def __init__(self, path: str, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, options)
        self._outputs = [output.name for output in self._session.get_outputs()]
        labels = self._session.get_modelmeta().custom_metadata_map.get("labels")
        self.names = None if labels is None else np.array(labels.encode().split(b"\n"), object)

    def run(self, rgb: np.ndarray, audio: np.ndarray, num_frames: np.ndarray) -> dict[str, np.ndarray]:
        """See `DeviceModel`."""
        answers = self._session.run(None, {"rgb": rgb, "audio": audio, "num_frames": num_frames})
        return dict(zip(self._outputs, answers, strict=True))
