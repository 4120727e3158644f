"""The model card of a pushed version: what it is, how good, how big, and how to use it, on one page for people.

Its parts follow Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993).
"""

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from serving.export.card import ModelCard
from trainer.base.units import MIB
from trainer.data.yt8m import MAX_FRAMES, TOP_K

_SLICES = {"num_labels": "labels", "num_frames": "frames", "span": "span"}


def model_card(
    card: ModelCard,
    *,
    model_name: str,
    data_licence: str,
    evaluation: EvaluationResults | None = None,
    data: ExampleGenReport | None = None,
) -> str:
    """Writes the model card as Markdown. The same model, evaluated on the same videos, has the same card.

    Args:
        card: The card beside the model's weights, which names members, sizes and stored forms.
        model_name: The name that requests to a server ask for.
        data_licence: Licence of the data that the model was trained on, such as CC BY 4.0.
        evaluation: What the Evaluator measured; None where it was not evaluated.
        data: What was read and lost of the data; None where that is not known.
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
    return environment.get_template("MODEL_CARD.md.j2").render(
        card=card,
        mib=MIB,
        model_name=model_name,
        licence=data_licence,
        evaluation=evaluation,
        slices=slices,
        data=data,
        encodings=sorted({one.encoding for member in card.members for one in member.tensors} - {"float32"}),
        top_k=min(TOP_K, card.num_classes),
        max_frames=MAX_FRAMES,
    )
