"""A model as one ONNX file, for ONNX Runtime on edge servers.

Needs the packages of the extra `onnx`, which setup installs.
"""

import numpy as np
import onnx
import tf2onnx

from serving.export.card import ModelCard
from serving.export.device_graph import INPUTS, SMALLEST_KERNEL, DeviceGraph, class_labels
from serving.export.device_weights import DeviceWeights
from trainer.base.errors import UserError

_OPSET = 18
"""Of ONNX 1.13 (2022), which all runtimes of today know."""


def write_onnx(directory: str, path: str, weights: DeviceWeights) -> ModelCard:
    """Writes a SavedModel of this project, a single model or an ensemble, as an ONNX file.

    Inputs and outputs are those of `DeviceGraph.predict`. The file's metadata have the names of the classes, one a line
    (`labels`), and the SavedModel's card (`card`).

    Args:
        directory: Directory of saved_model.pb.
        path: Path of the file.
        weights: How kernels are stored: float32, or int8 with a scale an output, whose inputs are rounded as they come.

    Returns:
        The card of the SavedModel.

    Raises:
        UserError: The weights cannot be stored so, or are too large for one file.
    """
    if weights not in (DeviceWeights.FLOAT32, DeviceWeights.INT8):
        raise UserError(
            f"an ONNX file stores weights as float32 or int8, not as {weights}: choose one of these"
        )
    graph = DeviceGraph.of(directory)
    model, _ = tf2onnx.convert.from_function(graph.predict, input_signature=INPUTS, opset=_OPSET)
    if weights == DeviceWeights.INT8:
        model = _rounded(model, path)
    card = ModelCard.load(directory)
    properties = {"card": card.model_dump_json()}
    if labels := class_labels(directory, card.num_classes):
        properties["labels"] = "\n".join(labels)
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, path)
    return card


def _rounded(model: onnx.ModelProto, path: str) -> onnx.ModelProto:
    """The model with its large kernels as whole numbers; `path` is overwritten."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    sizes = {constant.name: int(np.prod(constant.dims)) for constant in model.graph.initializer}
    small = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and sizes.get(node.input[1], 0) < SMALLEST_KERNEL
    ]
    quantize_dynamic(
        model,
        path,
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=small,
    )
    return onnx.load(path)
