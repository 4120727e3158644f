"""SavedModels of one or several weighted members, which load with none of our code installed.

Legend: B videos, T frames, V classes, k = 20 (or V, if that is less).
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.export.card import MemberCard, ModelCard, TensorCard
from serving.export.class_names import ASSET, ClassNames, vocabulary_csv
from serving.export.codecs import CODECS, FLOAT32
from serving.export.compression import EncodedTensor, part_name
from serving.export.decoded_tensor import DecodedTensor
from serving.export.request_checks import check_examples, check_frames, parse_request
from serving.export.vocabulary import Vocabulary
from serving.store.whole_model import open_weights, write_export_manifest
from trainer.data.parsing import decode_frames
from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, MAX_FRAMES, RGB_SIZE, TOP_K
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays, check_weights

FRAME_PREDICTIONS = "frame_predictions"
"""The signature from decoded frames to all probabilities. Models of before it was there have none."""
_EXAMPLES = [tf.TensorSpec([None], tf.string, name="examples")]
_FRAMES = [
    tf.TensorSpec([None, None, RGB_SIZE], tf.uint8, name="rgb"),
    tf.TensorSpec([None, None, AUDIO_SIZE], tf.uint8, name="audio"),
    tf.TensorSpec([None], tf.int32, name="num_frames"),
]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of an ensemble, to be written.

    Attributes:
        spec: The model that the weights belong to.
        weights: All its tensors, as they shall be stored: encoded, or arrays of float32 or float16.
        weight: Factor of its probabilities in the ensemble's.
        gap: GAP on the eval split, if measured.
        first_step: Training step of the first snapshot in the average.
        last_step: Training step of the last one.
        snapshots: Number of snapshots that were averaged.
    """

    spec: ModelSpec
    weights: Mapping[str, np.ndarray | EncodedTensor]
    weight: float = 1.0
    gap: float | None = None
    first_step: int | None = None
    last_step: int | None = None
    snapshots: int | None = None

    def encoded(self) -> dict[str, EncodedTensor]:
        """Returns the tensors as they are stored."""
        return {name: EncodedTensor.of(value) for name, value in self.weights.items()}

    def card(self) -> MemberCard:
        """Returns what a model's card says of this member."""
        tensors = tuple(
            TensorCard(name=name, shape=value.shape, encoding=value.codec.name)
            for name, value in sorted(self.encoded().items())
        )
        return MemberCard(
            variant=self.spec.name,
            weight=self.weight,
            gap=self.gap,
            first_step=self.first_step,
            last_step=self.last_step,
            snapshots=self.snapshots,
            bytes=sum(value.nbytes for value in self.encoded().values()),
            tensors=tensors,
        )


def write_saved_model(
    directory: str,
    members: Sequence[Member],
    gap: float | None = None,
    vocabulary: Vocabulary | None = None,
) -> ModelCard:
    """Writes members as one SavedModel, its card and the manifest of its files.

    Signatures:
        serving_default: examples string [B] (serialised SequenceExamples as they stand in YT-8M files) ->
            classes int64 [B, k], scores float32 [B, k], descending.
        predict_frames: rgb uint8 [B, T, 1024], audio uint8 [B, T, 128], num_frames int32 [B] -> the same.
        predictions: examples string [B] -> predictions float32 [B, V].
        frame_predictions: rgb, audio and num_frames as above -> predictions float32 [B, V].
    With a vocabulary the first two have a third output, labels string [B, k]: the names of the classes.

    A row depends on nothing but its own video; a row that cannot be scored fails the request with INVALID_ARGUMENT
    and its number.

    Args:
        directory: Directory to be created, local or on a file system that TensorFlow knows.
        members: At least one model, all of the same classes. The prediction is the sum of weight * probabilities.
        gap: GAP of the whole on the eval split, if measured; where it is None, that of a single member is taken.
        vocabulary: Names of the classes, to be baked in as `assets/vocabulary.csv`.

    Returns:
        The card that was written.

    Raises:
        ValueError: If a member lacks a tensor or has one of another shape, or members differ in their classes.
    """
    if not members:
        raise ValueError("a model has at least one member. Received: none")
    num_classes = members[0].spec.num_classes
    for member in members:
        check_weights(member.spec, member.weights)
        if member.spec.num_classes != num_classes:
            raise ValueError(
                f"members must have the same classes. Received: {num_classes} and {member.spec.num_classes}"
            )
    with _class_names(vocabulary, num_classes) as names:
        module = _Ensemble(members, num_classes, names)
        tf.saved_model.save(
            module,
            directory,
            signatures={
                "serving_default": module.serving_default,
                "predict_frames": module.predict_frames,
                "predictions": module.predictions,
                FRAME_PREDICTIONS: module.frame_predictions,
            },
        )
    cards = tuple(member.card() for member in members)
    if gap is None and len(members) == 1:
        gap = members[0].gap
    card = ModelCard(
        num_classes=num_classes,
        bytes=sum(member.bytes for member in cards),
        gap=gap,
        members=cards,
    )
    card.save(directory)
    write_export_manifest(directory)
    return card


def read_stored(directory: str, member: int = 0) -> dict[str, EncodedTensor]:
    """Reads the tensors of one member of a SavedModel of ours, as they are stored.

    Raises:
        UserError: If one is stored by a codec that this version does not know, or a file is damaged.
    """
    tensors = ModelCard.load(directory).members[member].tensors
    reader = open_weights(directory)
    stored = {}
    for tensor in tensors:
        codec = CODECS.parse(tensor.encoding)
        parts = {
            part: reader.read(_checkpoint_key(member, part_name(tensor.name, part)))
            for part in codec.layout(tensor.shape)
        }
        stored[tensor.name] = EncodedTensor(codec, tensor.shape, parts)
    return stored


def read_weights(directory: str, member: int = 0) -> Arrays:
    """Reads the tensors of one member of a SavedModel of ours as float32; UserError where a file is damaged."""
    return {name: value.decode() for name, value in read_stored(directory, member).items()}


@contextlib.contextmanager
def _class_names(vocabulary: Vocabulary | None, num_classes: int) -> Iterator[ClassNames | None]:
    """The names, whose file has to exist until the model is written."""
    if vocabulary is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, ASSET)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(vocabulary_csv(vocabulary, num_classes))
        yield ClassNames(path, num_classes)


def _checkpoint_key(member: int, name: str) -> str:
    """Returns a stored tensor's key in the SavedModel's object-based checkpoint, where slashes are escaped."""
    return f"members/{member}/stored/{name.replace('/', '.S')}/.ATTRIBUTES/VARIABLE_VALUE"


class _Member(tf.Module):
    """The stored tensors of one model and, for those that are not float32 as they are, the decoded ones."""

    def __init__(self, member: Member, scope: str) -> None:
        super().__init__()
        encoded = member.encoded()
        self.architecture = member.spec.architecture
        self.stored = {
            stored_name: tf.Variable(array, trainable=False, name=f"{scope}/{stored_name}")
            for name, value in encoded.items()
            for stored_name, array in value.named_parts(name).items()
        }
        self.decoded = {
            name: DecodedTensor(
                value.codec,
                {part: self.stored[part_name(name, part)] for part in value.parts},
                value.shape,
                f"{scope}/{name}/decoded",
            )
            for name, value in encoded.items()
            if value.codec != FLOAT32
        }
        self._names = tuple(encoded)

    def weights(self) -> dict[str, tf.Tensor]:
        return {
            name: self.decoded[name].read() if name in self.decoded else self.stored[name].read_value()
            for name in self._names
        }


class _Ensemble(tf.Module):
    def __init__(
        self, members: Sequence[Member], num_classes: int, class_names: ClassNames | None = None
    ) -> None:
        super().__init__()
        self.class_names = class_names
        self.class_names_asset = None if class_names is None else class_names.asset
        self.members = [_Member(member, f"{_digest(member)}/{index}") for index, member in enumerate(members)]
        self._shares = [member.weight for member in members]
        self._top_k = min(TOP_K, num_classes)

    # What the signatures share are functions that they call: traced and written once, and inlined where they run.
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, FRAME_SIZE], tf.uint8), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def _probabilities(self, frames: tf.Tensor, num_frames: tf.Tensor) -> tf.Tensor:
        """uint8 [B, T, 1152], int32 [B] -> float32 [B, V]."""
        values = dequantize(frames)
        counts = tf.sequence_mask(num_frames, tf.shape(frames)[1], tf.float32)
        return tf.add_n(
            [
                share * member.architecture.forward(values, counts, member.weights())
                for share, member in zip(self._shares, self.members, strict=True)
            ]
        )

    @tf.function(input_signature=_EXAMPLES, autograph=False)
    def _score_examples(self, examples: tf.Tensor) -> tf.Tensor:
        parsed = parse_request(examples)
        # All that follows waits for the checks: decoding would fail on its own, less clearly.
        with tf.control_dependencies(check_examples(parsed)):
            num_frames = tf.cast(tf.minimum(parsed.rgb_frames, MAX_FRAMES), tf.int32)
            frames = decode_frames(parsed.rgb, parsed.audio)
        return self._probabilities(frames, num_frames)

    @tf.function(input_signature=_FRAMES, autograph=False)
    def _score_frames(self, rgb: tf.Tensor, audio: tf.Tensor, num_frames: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies(check_frames(rgb, audio, num_frames)):
            num_frames = tf.minimum(num_frames, MAX_FRAMES)
            frames = tf.concat([rgb[:, :MAX_FRAMES], audio[:, :MAX_FRAMES]], axis=-1)
        return self._probabilities(frames, num_frames)

    def _top(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, classes = tf.math.top_k(probabilities, self._top_k)
        classes = tf.cast(classes, tf.int64)
        labels = {} if self.class_names is None else {"labels": self.class_names.of(classes)}
        return {"classes": classes, "scores": scores, **labels}

    @tf.function(input_signature=_EXAMPLES, autograph=False)
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._top(self._score_examples(examples))

    @tf.function(input_signature=_EXAMPLES, autograph=False)
    def predictions(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"predictions": self._score_examples(examples)}

    @tf.function(input_signature=_FRAMES, autograph=False)
    def predict_frames(self, rgb: tf.Tensor, audio: tf.Tensor, num_frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._top(self._score_frames(rgb, audio, num_frames))

    @tf.function(input_signature=_FRAMES, autograph=False)
    def frame_predictions(
        self, rgb: tf.Tensor, audio: tf.Tensor, num_frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {"predictions": self._score_frames(rgb, audio, num_frames)}


def _digest(member: Member) -> str:
    digest = hashlib.sha256(member.spec.name.encode())
    parts: dict[str, np.ndarray] = {}
    for name, value in member.encoded().items():
        parts |= value.named_parts(name)
    for name, array in sorted(parts.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:32]
