"""A SavedModel with the signatures of ours and next to no weights, for tests of what surrounds a model."""

import tensorflow as tf


class TinyModel(tf.Module):
    """A video scores its record's length x factor x (30 - class); an empty record is refused as a bad one is."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = tf.Variable(factor)

    def _dense(self, examples: tf.Tensor) -> tf.Tensor:
        lengths = tf.strings.length(examples)
        check = tf.debugging.Assert(tf.reduce_all(lengths > 0), ["row", tf.argmin(lengths), "is empty"])
        with tf.control_dependencies([check]):
            return tf.cast(lengths, tf.float32)[:, None] * self.factor * tf.range(30.0, 0.0, -1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, classes = tf.math.top_k(self._dense(examples), 20)
        return {"classes": tf.cast(classes, tf.int64), "scores": scores}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def predictions(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"predictions": self._dense(examples)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="a"),
            tf.TensorSpec([None], tf.float32, name="b"),
        ]
    )
    def add(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": a + b, "x": a}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="rounds")])
    def spin(self, rounds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes about a second for 50,000 rounds."""
        return {"rounds": tf.while_loop(lambda i: i < rounds, lambda i: [i + 1], [tf.constant(0)])[0]}


def write_tiny_model(directory: str, factor: float = 1.0) -> str:
    """Writes a TinyModel; returns `directory`."""
    model = TinyModel(factor)
    names = ("serving_default", "predictions", "add", "spin")
    tf.saved_model.save(model, directory, signatures={name: getattr(model, name) for name in names})
    return directory
