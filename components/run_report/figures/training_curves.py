"""What the Trainers logged: loss, GAP, learning rate and speed over the steps."""

from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from components.run_report.document import RunDocument
from components.run_report.figures.canvas import HALF, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import variant_styles
from components.run_report.figures.labels import label_line_ends

_FEW = 6
"""Number of lines above which all lines are thinner."""

CURVES = {
    "loss": ("Loss", "cross-entropy of a batch", ".3f"),
    "gap": ("GAP", "GAP on a slice of the eval split", ".4f"),
    "learning_rate": ("Learning rate", "learning rate", ".1e"),
    "examples_per_second": ("Training speed", "videos a second", ".0f"),
}
"""By tag: the picture's title, the unit of its axis, and the format of its values."""


def training_curve(report: RunDocument, tag: str) -> str | None:
    """Draws the curve of each variant, with its name at the end of the line."""
    found = {variant: one[tag].finite() for variant, one in report.training.items() if tag in one}
    curves = {variant: curve for variant, curve in found.items() if curve}
    if not curves:
        return None
    styles = variant_styles(report)
    title, unit, form = CURVES[tag]
    figure = new_figure(HALF, max(300, 60 + (SMALL + 3) * len(curves)))
    axes = new_axes(figure)
    margins(figure, left=76, right=130, top=14, bottom=46)
    for variant, curve in curves.items():
        style, single = styles[variant], len(curve) == 1
        axes.plot(
            *zip(*curve, strict=True),
            color=style.colour,
            ls=style.dashes,
            marker=style.marker if single or tag == "gap" else None,
            ms=3.5,
            lw=1.6 if len(curves) <= _FEW else 1,
        )
    axes.set_xlabel("training step")
    axes.set_ylabel(unit)
    if tag == "loss" and any(value > 0 for curve in curves.values() for _, value in curve):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    elif tag != "gap":
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if tag == "learning_rate":
        axes.yaxis.set_major_formatter("{x:.1e}")
    ends = {variant: curve[-1] for variant, curve in curves.items()}
    notes = {variant: f"{variant}  {value:{form}}" for variant, (_, value) in ends.items()}
    if len(curves) > 1 and all(curve == next(iter(curves.values())) for curve in curves.values()):
        ends = dict([next(iter(ends.items()))])
        notes = {variant: f"all {len(curves)} variants" for variant in ends}
    label_line_ends(axes, ends, {variant: styles[variant].colour for variant in ends}, notes)
    last = ", ".join(f"{variant} {curve[-1][1]:{form}}" for variant, curve in curves.items())
    return to_svg(
        figure,
        f"training-{tag.replace('_', '-')}",
        f"{title} over the training steps",
        f"At the end: {last}.",
    )
