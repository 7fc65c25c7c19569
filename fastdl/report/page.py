"""Chapters and the page they are put on: one HTML file that needs no other file and no network."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report import figures, listings, scenes, sounds

__all__ = ["Chapter", "render"]

_LONG = 28  # letters of a table's cell above which it may wrap


@dataclass
class Chapter:
    """A subject: a title, a sentence that says what there is to see, and blocks of HTML in reading order.

    Parameters
    ----------
    key : str
        Its name in links, and the prefix of every id within it.
    title : str
        The title in the heading and the table of contents.
    claim : str
        The sentence under the heading that says what there is to see.
    """

    key: str
    title: str
    claim: str
    blocks: list[str] = field(default_factory=list)
    _figures: int = field(default=0, init=False)

    def section(self, title: str) -> None:
        """A heading within the chapter."""
        self.blocks.append(f"<h3>{html.escape(title)}</h3>")

    def text(self, words: str) -> None:
        """A paragraph; `code` in backticks."""
        self.blocks.append(f"<p>{marked(words)}</p>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> None:
        """A table; numbers are set flush right, the first cell of a row is its heading."""
        right = [k > 0 and all(_is_number(row[k]) for row in rows) for k in range(len(header))]
        head = "".join(_cell("th scope=col", name, right[k]) for k, name in enumerate(header))
        body = "".join(
            "<tr>" + "".join(_cell("td" if k else "th scope=row", v, right[k]) for k, v in enumerate(row)) + "</tr>"
            for row in rows
        )
        name = html.escape(caption, quote=True)
        self.blocks.append(
            f'<div class=scroll role=group tabindex=0 aria-label="{name}"><table><caption>{marked(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def figure(self, panels: Sequence[figures.Panel], caption: str) -> None:
        """Panels beside or below each other, as there is room."""
        drawn = figures.panels(panels, f"{self.key}-{self._figures}-")
        self._figures += 1
        self.blocks.append(f"<figure>{drawn}<figcaption>{marked(caption)}</figcaption></figure>")

    def scene(
        self, layers: Sequence[scenes.Layer], *, limits: tuple[float, float], unit: str, alt: str, caption: str
    ) -> None:
        """Layers of points and boxes that can be turned."""
        shown = scenes.scene(layers, limits, unit, alt)
        self.blocks.append(f"<figure>{shown}<figcaption>{marked(caption)}</figcaption></figure>")

    def sounds(self, recordings: Sequence[tuple[str, Array]], rate: int) -> None:
        """Players of int16 samples, each with a label."""
        players = "".join(sounds.player(label, samples, rate) for label, samples in recordings)
        self.blocks.append(f"<ul class=sounds>{players}</ul>")

    def code(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        reference: Callable[..., Any] | None = None,
        other: str = "NumPy reference",
        compare: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Run `function(fastdl, *arguments)`, time it beside the reference, and show its body; returns its result.

        The reference is the same function with fastdl.reference in place of fastdl, or `reference(*arguments)`, which
        the page calls `other`. Results are compared, by `compare(result)` if given.
        """
        ours = listings.least_time(lambda: function(fastdl, *arguments))
        call = (lambda: function(fastdl.reference, *arguments)) if reference is None else lambda: reference(*arguments)
        theirs = listings.least_time(call)
        take = compare or (lambda result: result)
        remark = listings.agreement(take(ours.result), take(theirs.result))
        times = listings.times(ours.seconds, theirs.seconds, other, remark)
        code = listings.highlight(listings.source_of(function))
        name = html.escape(self.title, quote=True)
        self.blocks.append(
            f"<div class=run>{times}<details><summary>The code</summary>"
            f'<pre tabindex=0 role=group aria-label="Code: {name}, {function.__name__}"><code>{code}</code></pre>'
            "</details></div>"
        )
        return ours.result


def marked(words: str) -> str:
    """Text as HTML; `code` in backticks."""
    parts = html.escape(words).split("`")
    return "".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts))


def number(value: object) -> str:
    """A number for readers: thousands separated, four digits where it is not whole."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    size = abs(float(value))
    return f"{value:,.0f}" if 1e4 <= size < 1e12 else f"{value:,.4g}"


def _is_number(value: object) -> bool:
    return value == "" or (isinstance(value, (int, float, np.number)) and not isinstance(value, bool))


def _cell(tag: str, value: object, right: bool) -> str:
    text = number(value)
    kind = " class=n" if right else " class=long" if len(text) > _LONG and " " in text else ""
    return f"<{tag}{kind}>{marked(text)}</{tag.split()[0]}>"


def render(chapters: Sequence[Chapter], title: str, lead: str, facts: Sequence[tuple[str, str]] = ()) -> str:
    """The HTML of the whole page."""
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    links = "".join(f'<li><a href="#{c.key}">{html.escape(c.title)}</a></li>' for c in chapters)
    about = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in facts)
    body = "".join(_section(k, c) for k, c in enumerate(chapters, 1))
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{html.escape(title)}</title><link rel=icon href='data:,'><style>{style}</style></head>"
        "<body><a class=skip href='#main'>Skip to the chapters</a><div class=frame>"
        f"<header><p class=kicker>fastdl {html.escape(fastdl.__version__)}</p><h1>{html.escape(title)}</h1>"
        f"<p class=lead>{marked(lead)}</p><dl class=facts>{about}</dl></header>"
        f"<div class=columns><nav class=toc aria-label=Contents><details open><summary>Contents</summary>"
        f"<ol>{links}</ol></details></nav><main id=main tabindex=-1>{body}</main></div>"
        "<footer>Every figure and every time was made on this machine when the page was written; the page needs no "
        f"network.</footer></div><script>{script}</script></body></html>"
    )


def _section(k: int, chapter: Chapter) -> str:
    blocks = "\n".join(chapter.blocks)
    return (
        f"<section id={chapter.key} aria-labelledby={chapter.key}-title><h2 id={chapter.key}-title>"
        f"<span class=number>Chapter {k}</span>{html.escape(chapter.title)}</h2>"
        f"<p class=lead>{marked(chapter.claim)}</p>\n{blocks}</section>\n"
    )


def machine() -> list[tuple[str, str]]:
    """Facts about the machine that times depend on."""
    import platform
    from datetime import date

    from fastdl import _kernels, _threads

    cpu = _kernels.load("cpu")
    level = f", {cpu.level()}" if cpu else ""
    state = "compiled" if all(_kernels.built().values()) and not _kernels.FORCED else "NumPy reference in places"
    return [
        ("Written", date.today().isoformat()),
        ("Machine", f"{platform.system()} {platform.machine()}{level}, {_threads.available()} processors"),
        ("Kernels", state),
        ("Times", "one thread, the shortest of some runs"),
    ]
