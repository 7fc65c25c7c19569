"""Figures as SVG panels: drawn by matplotlib, coloured by the page's style sheet, showing values under the pointer.

Each panel is a picture of its own, some 400 units wide, which the page's grid puts beside or below others: text stays
readable at any width. Only panels that fill the whole width are drawn a second time for phones.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

#: Colours that stay apart for colour-blind readers (Okabe and Ito); the page has brighter ones for dark schemes.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
#: Colours that matplotlib draws with, and the names that the style sheet has for them.
INK, MUTED, LINE, PAPER = "#101112", "#505152", "#d0d1d2", "#fefdfc"
_NAMES = {colour.lower(): f"var(--c{k})" for k, colour in enumerate(SERIES)}
_NAMES |= {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", PAPER: "var(--paper)"}
_TEXT = 12.5  # units, of a panel of 400: 11 pixels on a phone
_STYLE = {
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.size": _TEXT,
    "axes.labelsize": _TEXT,
    "axes.titlesize": _TEXT,
    "xtick.labelsize": _TEXT,
    "ytick.labelsize": _TEXT,
    "legend.fontsize": _TEXT,
    "lines.linewidth": 1.8,
    "hatch.color": MUTED,
    "axes.prop_cycle": f"cycler('color', {list(SERIES)})",
}
_HOVERED = 4000  # points up to which a curve shows values under the pointer: more would make the page too large


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Parameters
    ----------
    draw : callable
        `draw(axes)`, with matplotlib axes; `draw(figure)` for a panel that is `free`.
    alt : str
        The text alternative, for screen readers.
    title : str
        Stands above the picture.
    height : float
        In units, of a width of 400.
    wide : bool
        Whether it fills the page's width where there is room; it is then drawn twice, 800 and 400 units wide.
    free : bool
        Whether `draw` makes its own axes.
    """

    draw: Callable[[Any], None]
    alt: str
    title: str = ""
    height: float = 290
    wide: bool = False
    free: bool = False


def panels(drawn: Sequence[Panel], key: str) -> str:
    """The HTML of panels that stand beside each other; `key`, the prefix of their ids, is unique in the page."""
    matplotlib = _check.extra("matplotlib", "report", "the report")
    count = 3 if len(drawn) % 3 == 0 else 2
    with matplotlib.rc_context(_STYLE):
        parts = [_panel(panel, f"{key}p{k}", 300 if count == 3 else 400) for k, panel in enumerate(drawn)]
    legends = {legend for legend, _ in parts}
    shared = legends.pop() if len(legends) == 1 and len(drawn) > 1 else ""
    inner = "".join(
        f'<div class="panel{" wide" if panel.wide else ""}">'
        + (f"<p class=panel-title>{html.escape(panel.title)}</p>" if panel.title else "")
        + (legend if not shared else "")
        + pictures
        + "</div>"
        for panel, (legend, pictures) in zip(drawn, parts)
    )
    return f"{shared}<div class='panels n{count if len(drawn) > 1 else 1}'>{inner}</div>"


def _panel(panel: Panel, key: str, width: int) -> tuple[str, str]:
    """Its legend and its pictures."""
    if not panel.wide:
        legend, svg = _draw(panel, key, width, panel.height * width / 400)
        return legend, svg
    legend, narrow = _draw(panel, f"{key}n", 400, panel.height * (1 if panel.free else 0.8))
    _, wide = _draw(panel, f"{key}w", 800, panel.height)
    return legend, f"<div class=at-narrow>{narrow}</div><div class=at-wide>{wide}</div>"


def _draw(panel: Panel, key: str, width: float, height: float) -> tuple[str, str]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    FigureCanvasSVG(figure)
    if panel.free:
        panel.draw(figure)
    else:
        panel.draw(figure.subplots())
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if axis.get_scale() == "log":
            axis.set_major_formatter(_number)
            axis.set_minor_formatter("")
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    svg = _clean(picture.getvalue(), key)
    readouts = [found for axes in figure.axes if (found := _readout(axes, height))]
    values = ""
    if readouts:
        values = as_script(readouts)
    alt = html.escape(panel.alt, quote=True)
    focus = " tabindex=0" if readouts else ""
    drawn = svg.replace("<svg ", f'<svg role=img aria-label="{alt}"{focus} ', 1)
    return _legend(figure), f"<div class=picture>{drawn}{values}</div>"


def _number(value: float, _: object = None) -> str:
    """The label of a tick of a logarithmic axis: powers of ten, with superscript digits of Unicode."""
    if 1e-3 <= value < 1e6:
        return f"{value:,.6g}"
    power = np.log10(value)
    if abs(power - round(power)) > 1e-9:
        return f"{value:.2g}"
    return "10" + str(round(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def as_script(values: object) -> str:
    """Values as JSON in a script element; texts among them cannot end the element."""
    text = json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script type=application/json>{text}</script>"


def _clean(svg: str, key: str) -> str:
    """The SVG made shorter, its colours replaced by names of the style sheet, its ids made unique."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style type=.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"| version="1.1"', "", svg)
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', svg))
    numbers = {name: f"{key}{k}" for k, name in enumerate(sorted(used))}
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{numbers[m[1]]}"' if m[1] in numbers else "", svg)
    svg = re.sub(r'(href="|url\()#([^")]*)', lambda m: f"{m[1]}#{numbers[m[2]]}", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda m: _NAMES.get(m[0], m[0]), svg)
    svg = re.sub(r"; font-family: [^;\"]*|; stroke-linecap: square", "", svg)
    svg = re.sub(r' transform="rotate\(-0 [^)]*\)"|; stroke-linejoin: miter', "", svg)
    svg = re.sub(r"\b(\d+\.\d{2})\d+", r"\1", svg)
    svg = re.sub(r">\s+<", "><", svg)
    return re.sub(r"\s*\n\s*", " ", svg).strip()


def _legend(figure: Figure) -> str:
    """The legend of everything that has a label, as HTML above the picture, so that it never covers data."""
    entries: dict[str, str] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            entries.setdefault(label, _swatch(handle))
    if len(entries) < 2:
        return ""
    items = "".join(f"<li>{swatch}{html.escape(label)}</li>" for label, swatch in entries.items())
    return f"<ul class=legend>{items}</ul>"


def _swatch(handle: Any) -> str:
    """A square, line or dot in the colour of a legend's entry."""
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.lines import Line2D

    colour: Any
    if isinstance(handle, Line2D):
        style = handle.get_linestyle()
        kind = "dot" if style in ("None", "none", "", " ") else "line" if style == "-" else "dash"
        colour = handle.get_color() if kind != "dot" else handle.get_markerfacecolor()
    elif isinstance(handle, PathCollection):
        kind, colour = "dot", handle.get_facecolor()[0]
    elif isinstance(handle, LineCollection):
        kind, colour = "line", handle.get_color()[0]
    else:
        patch = handle[0] if isinstance(handle, tuple) else handle
        kind, colour = "box", patch.get_facecolor() if patch.get_facecolor()[3] else patch.get_edgecolor()
    return f'<span class=swatch-{kind} style="--k:{_named(colour)}"></span>'


def _named(colour: ColorType) -> str:
    """A colour by its name in the style sheet, where it has one."""
    from matplotlib.colors import to_hex

    text = to_hex(colour)
    return _NAMES.get(text, text)


def _readout(axes: Axes, height: float) -> dict[str, Any] | None:
    """The position and limits of the axes, and the values of their curves and bars, for the page's script."""
    from matplotlib.container import BarContainer

    series = []
    for line in axes.lines:
        x, y = (np.asarray(v, float) for v in (line.get_xdata(), line.get_ydata()))
        if (
            not str(line.get_label()).startswith("_")
            and 1 < len(x) <= _HOVERED
            and line.get_transform() == axes.transData
        ):
            series.append((line.get_label(), line.get_color(), x, y))
    for bars in axes.containers:
        if isinstance(bars, BarContainer) and not str(bars.get_label()).startswith("_"):
            x = np.array([bar.get_x() + bar.get_width() / 2 for bar in bars])
            series.append((bars.get_label(), bars[0].get_facecolor(), x, np.array([bar.get_height() for bar in bars])))
    if not series or axes.name != "rectilinear":
        return None
    scales = [axes.get_xscale(), axes.get_yscale()]
    if not set(scales) <= {"linear", "log"}:
        return None
    box = axes.get_window_extent()
    scale = 72 / axes.figure.dpi
    return {
        "box": [round(v * scale, 1) for v in (box.x0, box.y0, box.x1, box.y1)],
        "height": round(height, 1),
        "x": [*axes.get_xlim(), scales[0] == "log"],
        "y": [*axes.get_ylim(), scales[1] == "log"],
        "names": [axes.get_xlabel(), axes.get_ylabel()],
        "series": [
            {"name": name, "colour": _named(colour), "x": _short(x), "y": _short(y)} for name, colour, x, y in series
        ],
    }


def _short(values: Iterable[float]) -> list[float | None]:
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values]


def histogram(axes: Axes, counts: Array, edges: Array, colour: str, name: str) -> None:
    """Draw counts between edges as a filled outline that shows its values under the pointer."""
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.75, lw=0)
    axes.plot((edges[1:] + edges[:-1]) / 2, counts, " ", color=colour, label=name)
