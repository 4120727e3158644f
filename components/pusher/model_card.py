"""The model card of a pushed version: what it is, how good, how big, and how to use it, on one page for people.

Its parts follow Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993).
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.evaluator.files import HOLDOUT
from serving.export.card import ModelCard
from trainer.base.units import MIB
from trainer.data.yt8m import MAX_FRAMES, TOP_K

_SLICES = {"num_labels": "labels", "num_frames": "frames"}


def model_card(
    card: ModelCard,
    *,
    model_name: str,
    data_licence: str,
    evaluation: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> str:
    """Markdown. The same model, evaluated on the same videos, has the same card.

    Args:
        card: What lies beside the model's weights.
        model_name: That requests ask for.
        data_licence: Of the data that it was trained on.
        evaluation: See `components.evaluator.results.read_results`; None where it was not evaluated.
        data: See `components.example_gen.summary.summarise`; None where that is not known.
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
        {"name": f"{_SLICES[one['feature']]} {one['bin']}", **one["candidate"]}
        for one in (evaluation or {}).get("slices", ())
        if one["candidate"]
    ]
    return environment.get_template("MODEL_CARD.md.j2").render(
        card=card,
        mib=MIB,
        model_name=model_name,
        licence=data_licence,
        metrics=(evaluation or {}).get("candidate"),
        holdout=(evaluation or {}).get("split") == HOLDOUT,
        selection_gap=(evaluation or {}).get("selection_gap"),
        slices=slices,
        data=data,
        encodings=sorted({one.encoding for member in card.members for one in member.tensors} - {"float32"}),
        top_k=min(TOP_K, card.num_classes),
        max_frames=MAX_FRAMES,
    )
