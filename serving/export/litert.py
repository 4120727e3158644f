"""A model as one LiteRT file (.tflite), which phones and small computers run without TensorFlow.

The file is what the interpreter maps into memory; behind that stands a ZIP archive with the class names and the model's
card, as TensorFlow Lite's metadata format has it: ``unzip -p yt8m.tflite labels.txt``.

Reference: https://ai.google.dev/edge/litert/models/metadata.
"""

import contextlib
import io
import re
import zipfile
from typing import TYPE_CHECKING

import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.device_graph import SMALLEST_KERNEL, DeviceGraph, class_labels
from serving.export.device_weights import DeviceWeights
from trainer.base.errors import UserError
from trainer.model.kernel_blocks import SCOPE

if TYPE_CHECKING:
    from ai_edge_quantizer.quantizer import Quantizer

LABELS = "labels.txt"
"""Name of the file in the archive with the names of the classes, one a line, in order."""
CARD = "card.json"
"""Name of the file in the archive with the card of the SavedModel that was converted."""

_BLOCK = 256
"""Rows of a kernel that share a scale in int4, as in the codec int4-b256, whose numbers are kept as they are. A scale
takes 12 bytes here, 0.38 bits a weight: LiteRT stores a zero point with it."""


def write_litert(directory: str, path: str, weights: DeviceWeights) -> ModelCard:
    """Writes a SavedModel of this project, a single model or an ensemble, as a LiteRT file.

    Its signature `serving_default`: rgb uint8 [1, T, 1024], audio uint8 [1, T, 128], num_frames int32 [1] -> classes
    int32 [1, k], scores float32 [1, k], descending, predictions float32 [1, V]; T from 1 to 300.

    Args:
        directory: Directory of saved_model.pb.
        path: Path of the file.
        weights: How kernels are stored.

    Returns:
        The card of the SavedModel.

    Raises:
        UserError: The model has operations that LiteRT lacks, or is too large for one file.
    """
    content = _converted(DeviceGraph.of(directory, _BLOCK if weights == DeviceWeights.INT4 else None))
    if weights != DeviceWeights.FLOAT32:
        content = _rounded(content, weights)
    with open(path, "wb") as file:
        file.write(content)
    card = ModelCard.load(directory)
    _add_metadata(path, directory, card)
    return card


def _converted(graph: DeviceGraph) -> bytes:
    """The graph in float32, with built-in operations of LiteRT alone."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.predict.get_concrete_function()], graph
    )
    try:
        return converter.convert()
    except Exception as error:  # its own type of error is not public
        lacking = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
        if not lacking:
            raise
        raise UserError(
            f"{graph.variants}: LiteRT lacks the operations {', '.join(lacking)}: export a model of another family "
            "(docs/on-device.md has those that can be)"
        ) from None


def _rounded(content: bytes, weights: DeviceWeights) -> bytes:
    """A LiteRT model with the large kernels of its fully connected layers in fewer bytes."""
    import numpy.typing  # noqa: F401 - which the quantizer uses without importing it

    # isort: split
    from ai_edge_quantizer.quantizer import Quantizer

    rounding = Quantizer(content)
    if weights == DeviceWeights.FLOAT16:
        _store_as_float16(rounding)
    else:
        _store_as_integers(rounding, ".*", 8, SMALLEST_KERNEL)
    if weights == DeviceWeights.INT4:
        _store_as_integers(rounding, SCOPE, 4)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        return bytes(rounding.quantize(enable_progress_report=False).quantized_model)


def _store_as_float16(rounding: "Quantizer") -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    stored = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
        min_weight_elements=SMALLEST_KERNEL,
    )
    rounding.update_quantization_recipe(
        ".*", qtyping.TFLOperationName.FULLY_CONNECTED, stored, AlgorithmName.FLOAT_CASTING
    )


def _store_as_integers(rounding: "Quantizer", operations: str, bits: int, smallest: int = 0) -> None:
    """Whole numbers with a scale an output for the kernels of operations whose names match, from a size on."""
    from ai_edge_quantizer import qtyping

    stored = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            bits, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        min_weight_elements=smallest,
    )
    rounding.update_quantization_recipe(operations, qtyping.TFLOperationName.FULLY_CONNECTED, stored)


def _add_metadata(path: str, directory: str, card: ModelCard) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        if labels := class_labels(directory, card.num_classes):
            archive.writestr(LABELS, "".join(f"{label}\n" for label in labels))
        archive.writestr(CARD, card.model_dump_json(indent=2) + "\n")
