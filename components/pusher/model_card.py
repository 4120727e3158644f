"""The model card of a pushed version: what it is, how good, how big, and how to use it, on one page for people.

Its parts follow Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993), its front
matter is that of Hugging Face's model cards (https://huggingface.co/docs/hub/model-cards#model-card-metadata).
"""

from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from components.pusher.files import LITERT_FILE
from serving.export.card import ModelCard
from trainer.base.units import MIB
from trainer.data.yt8m import MAX_FRAMES, TOP_K

if TYPE_CHECKING:  # it imports TensorFlow, of which a report that shows a card needs nothing
    from components.pusher.device_file import DeviceFile

UNKNOWN = "unknown"
"""What Hugging Face calls a licence that nobody has stated."""
_METRICS = {"gap": "GAP@20", "hit_at_one": "Hit@1", "perr": "PERR", "map": "MAP"}
_SLICES = {"num_labels": "labels", "num_frames": "frames", "span": "span"}


def model_card(
    card: ModelCard,
    *,
    model_name: str,
    data_licence: str,
    model_licence: str = UNKNOWN,
    evaluation: EvaluationResults | None = None,
    data: ExampleGenReport | None = None,
    litert: "DeviceFile | None" = None,
) -> str:
    """Writes the model card as Markdown. The same model, evaluated on the same videos, has the same card.

    Args:
        card: The card beside the model's weights, which names members, sizes and stored forms.
        model_name: The name that requests to a server ask for.
        data_licence: Licence of the data that the model was trained on, such as CC BY 4.0.
        model_licence: Licence of the model itself, such as apache-2.0.
        evaluation: What the Evaluator measured; None where it was not evaluated.
        data: What was read and lost of the data; None where that is not known.
        litert: The LiteRT file that goes with the version; None where there is none.
    """
    environment = Environment(
        loader=PackageLoader("components.pusher"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    slices = [
        (f"{_SLICES[one.feature]} {one.bin}", one.candidate)
        for one in (evaluation.slices if evaluation else ())
        if one.candidate
    ]
    front = _front_matter(card, model_name, data_licence, model_licence, evaluation)
    return environment.get_template("MODEL_CARD.md.j2").render(
        front_matter=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        saw=_seen(data),
        model_licence=None if model_licence == UNKNOWN else model_licence,
        card=card,
        mib=MIB,
        model_name=model_name,
        licence=data_licence,
        evaluation=evaluation,
        slices=slices,
        data=data,
        litert=litert,
        litert_file=LITERT_FILE,
        encodings=sorted({one.encoding for member in card.members for one in member.tensors} - {"float32"}),
        top_k=min(TOP_K, card.num_classes),
        max_frames=MAX_FRAMES,
    )


def without_front_matter(text: str) -> str:
    """Returns a card as people read it, without the metadata at its head."""
    return text.split("\n---\n", 1)[1].lstrip("\n") if text.startswith("---\n") else text


def _seen(data: ExampleGenReport | None) -> str | None:
    """What a training saw of a video: its `frames`, or their `mean`; None where that is not known."""
    train = data and data.splits.get("train")
    if not train or not train.videos:
        return None
    return "mean" if train.frames == train.videos else "frames"  # a video-level record is one frame


def _front_matter(
    card: ModelCard,
    model_name: str,
    data_licence: str,
    model_licence: str,
    evaluation: EvaluationResults | None,
) -> dict[str, Any]:
    front: dict[str, Any] = {
        "license": model_licence,
        "dataset_license": data_licence,
        "library_name": "tensorflow",
        "pipeline_tag": "video-classification",
        "tags": ["video-classification", "multi-label", "youtube-8m", "saved-model"]
        + (["ensemble"] if len(card.members) > 1 else []),
        "metrics": list(_METRICS.values()),
    }
    metrics = evaluation and evaluation.candidate
    if metrics:
        measured = [
            {"type": key, "name": name, "value": round(getattr(metrics, key), 4)}
            for key, name in _METRICS.items()
        ]
        split = "holdout" if evaluation.is_holdout else "eval"
        result = {
            "task": {"type": "video-classification", "name": "Video classification, many labels a video"},
            "dataset": {"type": "youtube-8m", "name": "YouTube-8M", "split": split},
            "metrics": measured,
        }
        front["model-index"] = [{"name": model_name, "results": [result]}]
    return front
