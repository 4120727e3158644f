"""Drawing with matplotlib for an HTML page."""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from components.run_report.figures.colours import INK, LINE, MUTED, VARIABLES

HALF, FULL = 540, 1096
"""Widths of pictures, in CSS pixels: two beside each other, or one across the page."""
TEXT = 12
SMALL = 11

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.id": None,
    "font.family": "sans-serif",
    "font.size": TEXT,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": TEXT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "lines.linewidth": 1.6,
}


def new_figure(width: float, height: float) -> Figure:
    """Makes a figure of a width and height in CSS pixels; one point of matplotlib is one pixel."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    return figure


def new_axes(figure: Figure, *position: int, **keywords: object) -> Axes:
    """Adds axes in the page's style; the arguments are those of `Figure.add_subplot`."""
    with mpl.rc_context(_SETTINGS):
        axes = figure.add_subplot(*position, **keywords)
    axes.patch.set_visible(False)
    axes.tick_params(length=3)
    return axes


def margins(figure: Figure, *, left: float, right: float, top: float, bottom: float, **spaces: float) -> None:
    """Sets the room around the axes in CSS pixels; `wspace` and `hspace` between them are as matplotlib takes them."""
    width, height = figure.get_size_inches() * 72
    figure.subplots_adjust(
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height, **spaces
    )


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Returns the picture as an `svg` element to be put into a page.

    Args:
        figure: A figure that `new_figure` made.
        name: Name of the picture, of letters, digits and hyphens; no other picture of the page has the same.
        title: What the picture shows, for those who do not see it.
        description: What there is to see in it.
    """
    text = io.StringIO()
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return tidied(text.getvalue(), name, title, description)


def tidied(svg: str, name: str, title: str, description: str) -> str:
    """Turns an SVG document into an element of a page: its own ids, the page's colours and font, and a title."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(svg)
    for unwanted in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(unwanted)
    _rename_ids(root, name)
    width, height = root.get("width", "").removesuffix("pt"), root.get("height", "").removesuffix("pt")
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    root.set("style", f"width:{float(width):g}px;aspect-ratio:{float(width):g}/{float(height):g}")
    for position, (tag, content) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = content
        root.insert(position, element)
    made = ET.tostring(root, encoding="unicode")
    for colour, variable in VARIABLES.items():
        made = made.replace(colour, variable)
    return re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", made)


def _rename_ids(root: ET.Element, name: str) -> None:
    """Puts the picture's name before the ids that something refers to, and removes all other ids."""
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                if value in used:
                    element.set("id", f"{name}-{value}")
                else:
                    del element.attrib["id"]
            elif "#" in value:
                element.set(key, re.sub(r"(url\(|^)#(?=[A-Za-z])(?![0-9a-f]{6}\b)", rf"\1#{name}-", value))
