"""Names of the classes inside a served model.

Legend: B videos, V classes, k answered classes.
"""

import csv
import hashlib
import io

import tensorflow as tf

from serving.export.vocabulary import Vocabulary

ASSET = "vocabulary.csv"
"""In the `assets` of the SavedModel: columns Index and Name, one row a class, in order."""


def vocabulary_csv(vocabulary: Vocabulary, num_classes: int) -> str:
    """The asset's content. A class without a name gets the one that is shown for it, `class 1234`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("Index", "Name"))
    for index in range(num_classes):
        # One class a line: the graph splits the file at line ends.
        writer.writerow((index, " ".join(vocabulary.name(index).split())))
    return text.getvalue()


class ClassNames(tf.saved_model.experimental.TrackableResource):
    """The names of a SavedModel's asset, read once, when the model is loaded.

    Args:
        path: Of a file with the content of `vocabulary_csv`, named as the asset shall be.
        num_classes: V.
    """

    def __init__(self, path: str, num_classes: int) -> None:
        super().__init__(device="CPU")
        # A resource does not track its attributes: the model has to hold this, or it is not written.
        self.asset = tf.saved_model.Asset(path)
        self._num_classes = num_classes
        with open(path, "rb") as file:
            self._shared_name = f"{hashlib.sha256(file.read()).hexdigest()[:32]}/class_names"

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(
            dtype=tf.string, shape=[self._num_classes], shared_name=self._shared_name, container=""
        )

    def _initialize(self) -> None:
        lines = tf.strings.split(tf.io.read_file(self.asset.asset_path), "\n")
        _, names = tf.io.decode_csv(lines[1 : self._num_classes + 1], [[0], [""]])
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=names)

    def _destroy_resource(self) -> None:
        tf.raw_ops.DestroyResourceOp(resource=self.resource_handle, ignore_lookup_error=True)

    def of(self, classes: tf.Tensor) -> tf.Tensor:
        """string [B, k] of int64 [B, k]."""
        names = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=tf.string)
        return tf.gather(tf.ensure_shape(names, [self._num_classes]), classes)
