"""What all pictures share: figures without global state, text that fits, files written whole.

Figures are made of `matplotlib.figure.Figure` and the Agg canvas alone, so no display, no backend
setting and no ``pyplot`` state of the caller plays a part, and the font is the one that matplotlib
ships: the same data gives the same picture on every machine.
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from sepbench._util.files import write_atomic

FONT = "DejaVu Sans"
INK = "#222222"
MUTED = "#666666"
DOTS_PER_INCH = 150


def new(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` by ``height`` inches on the Agg canvas."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def font(size: float, weight: str = "normal") -> FontProperties:
    """Return the font of all pictures in ``size`` points."""
    return FontProperties(family=[FONT], size=size, weight=weight)


@cache
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Return the width in inches of one line of ``text`` in ``size`` points."""
    renderer = RendererAgg(1, 1, DOTS_PER_INCH)  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        extent = renderer.get_text_width_height_descent(  # type: ignore[no-untyped-call]
            text, font(size, weight), False
        )
    return float(extent[0]) / DOTS_PER_INCH


def wrap(text: str, width: float, size: float) -> list[str]:
    """Break ``text`` at blanks into lines of at most ``width`` inches in ``size`` points.

    A word that is longer than a line is broken inside, so nothing ever leaves the picture.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width_of(f"{line} {word}", size) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".lstrip()
        while len(line) > 1 and width_of(line, size) > width:
            fits = next(n for n in range(len(line) - 1, 0, -1) if _fits(line[:n], width, size))
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line] if line else lines


def write(
    figure: Figure, text: str, left: float, top: float, *, size: float, weight: str = "normal"
) -> None:
    """Write one line so many inches from the left and from the top of the page."""
    width, height = figure.get_size_inches()
    figure.text(
        left / width,
        1 - top / height,
        text,
        va="top",
        color=INK,
        fontproperties=font(size, weight),
        parse_math=False,
    )


def decibels(value: float) -> str:
    """Return ``value`` with two decimals and a minus sign as long as a plus.

    >>> decibels(-3.254)
    '−3.25'
    """
    return f"{value:.2f}".replace("-", "−")


def save(figure: Figure, path: Path) -> Path:
    """Write ``figure`` in the format of the path's ending, whole or not at all.

    The same figure gives the same bytes: an SVG carries no date and its identifiers are not
    random. Raises `SepbenchError` where the file cannot be written.
    """
    ending = path.suffix.lstrip(".")
    metadata = {"Date": None} if ending == "svg" else None
    drawn = io.BytesIO()
    with (
        mpl.rc_context({"svg.hashsalt": "sepbench", "svg.fonttype": "path"}),
        warnings.catch_warnings(),
    ):
        # A song's name may hold letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(drawn, format=ending, dpi=DOTS_PER_INCH, metadata=metadata)
    write_atomic(path, drawn.getvalue())
    return path


def _fits(text: str, width: float, size: float) -> bool:
    return len(text) == 1 or width_of(text, size) <= width
