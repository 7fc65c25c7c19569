"""What a chapter is made of, and the page they are put on."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastdl import _check

#: One look for every figure: colours that stay apart for colour-blind readers.
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000'])",
}


@dataclass
class Chapter:
    """A title, and blocks of HTML in reading order."""

    title: str
    blocks: list[str] = field(default_factory=list)

    def text(self, words: str) -> None:
        """A paragraph; `code` in backticks."""
        parts = html.escape(words).split("`")
        marked = "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
        self.blocks.append(f"<p>{marked}</p>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        """A table; numbers are set flush right."""
        head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
        body = "".join(f"<tr>{''.join(_cell(c) for c in row)}</tr>" for row in rows)
        title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        self.blocks.append(f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    @contextmanager
    def figure(
        self, rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 3.2), caption: str = "", **kw: Any
    ) -> Iterator[Any]:
        """`with chapter.figure(1, 2) as (left, right):` draws on matplotlib axes, and the figure joins the chapter."""
        matplotlib = _check.extra("matplotlib", "report", "the report")
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=size)
            FigureCanvasAgg(figure)
            axes = figure.subplots(rows, columns, **kw)
            yield axes
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
        data = base64.b64encode(picture.getvalue()).decode()
        words = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
        alt = html.escape(caption or self.title, quote=True)
        self.blocks.append(f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">{words}</figure>')


def _cell(value: Any) -> str:
    number = isinstance(value, (int, float))
    text = html.escape(f"{value:g}" if isinstance(value, float) else str(value))
    return f"<td class=n>{text}</td>" if number else f"<td>{text}</td>"


CSS = """
body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#222}
h1{margin-bottom:0}h2{margin-top:3rem;border-bottom:2px solid #0072B2}nav a{margin-right:1rem}
img{max-width:100%}figure{margin:1rem 0}figcaption,caption{color:#555;font-size:.9rem;text-align:left}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#f3f3f3;padding:0 .2em}
"""


def render(chapters: Sequence[Chapter]) -> str:
    """The page, whole: it needs no other file and no network."""
    import fastdl

    links = "".join(f'<a href="#c{i}">{html.escape(c.title)}</a>' for i, c in enumerate(chapters))
    body = "".join(_section(i, c) for i, c in enumerate(chapters))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>fastdl demo</title><style>{CSS}</style><h1>fastdl {fastdl.__version__}</h1>"
        f"<p>The CPU side of a deep-learning pipeline, at memory speed.</p><nav>{links}</nav>{body}</html>"
    )


def _section(i: int, chapter: Chapter) -> str:
    return f"<section id=c{i}><h2>{html.escape(chapter.title)}</h2>{''.join(_lines(chapter))}</section>"


def _lines(chapter: Chapter) -> Iterator[str]:
    for block in chapter.blocks:
        yield block + "\n"
