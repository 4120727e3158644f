"""The classes of one video, by LiteRT's interpreter alone: pip install ai-edge-litert

    python on_device.py yt8m.tflite video.npz

video.npz has the arrays `rgb`, uint8 [T, 1024], and `audio`, uint8 [T, 128]: a frame a second, at most 300, as
YouTube-8M publishes them.
"""

import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def main(model: str, video: str) -> None:
    """Prints score, number and name of the best classes."""
    # Without XNNPACK, the kernels are multiplied where the file is mapped, and take no memory besides.
    interpreter = Interpreter(
        model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    with zipfile.ZipFile(model) as archive:  # the file is a model with an archive behind it
        labels = archive.read("labels.txt").decode().splitlines()
    with np.load(video) as frames:
        rgb, audio = frames["rgb"][:300], frames["audio"][:300]
    answer = interpreter.get_signature_runner()(
        rgb=rgb[np.newaxis], audio=audio[np.newaxis], num_frames=np.array([len(rgb)], np.int32)
    )
    for index, score in zip(answer["classes"][0], answer["scores"][0], strict=True):
        print(f"{score:.4f}  {index:>4}  {labels[index]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
