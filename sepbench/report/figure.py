"""Base of all pictures: one style, figures without global state, atomic files.

Figures are made of `matplotlib.figure.Figure` and the Agg canvas alone, in a style of their own
(`styled`) and a font of matplotlib: no display, backend or setting of the caller matters, and the
same data gives the same picture on every machine.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sepbench._util.files import write_atomic

INK = "#222222"
MUTED = "#666666"
DOTS_PER_INCH = 150
SMALL = 8.0
"""Size of texts other than row labels, in points."""

STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": SMALL,
    "text.color": INK,
    "text.parse_math": False,
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.titlesize": 12.0,
    "figure.titleweight": "bold",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.color": MUTED,
    "ytick.labelsize": SMALL,
    "svg.fonttype": "path",
    "svg.hashsalt": "sepbench",
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function to draw in `STYLE`, independent of the caller's settings."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            figure = draw(*args, **kwargs)
            for axes in figure.axes:
                # All ticks of an axis copy the first, which is made on first access.
                axes.xaxis.get_major_ticks(1)
                axes.yaxis.get_major_ticks(1)
            return figure

    return inside


def new(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` by ``height`` inches with constrained layout."""
    figure = Figure(
        figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    return figure


def wrapped(
    sentences: Iterable[str], inches: float, size: float = SMALL, *, bold: bool = False
) -> str:
    """Break sentences into lines of about ``inches`` inches at ``size`` points.

    Each sentence begins a new line; a word longer than a line is broken.
    """
    width = 0.78 if bold else 0.62  # Of a letter; capitals of bold text have the first.
    letters = max(10, int(inches * 72 / (width * size)))
    return "\n".join(textwrap.fill(sentence, letters) for sentence in sentences)


def decibels(value: float) -> str:
    """Return ``value`` with two decimals and a typographic minus sign.

    >>> decibels(-3.254)
    '−3.25'
    """
    return f"{value:.2f}".replace("-", "−")


def save(figure: Figure, path: Path) -> Path:
    """Write ``figure`` atomically in the format of the path's suffix.

    The same figure gives the same bytes: an SVG has no date and no random identifiers. Raises
    `SepbenchError` if the file cannot be written.
    """
    ending = path.suffix.lstrip(".")
    metadata = {"Date": None} if ending == "svg" else None
    drawn = io.BytesIO()
    with _style(), warnings.catch_warnings():
        # Characters of a song's name that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        _lay_out(figure)
        figure.savefig(drawn, format=ending, dpi=DOTS_PER_INCH, metadata=metadata)
    write_atomic(path, drawn.getvalue())
    return path


def _lay_out(figure: Figure) -> None:
    """Give all parts their places, once for all formats: it takes as long as drawing."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.execute(figure)
        figure.set_layout_engine(None)  # With "none", each format is laid out by another drawing.


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield
