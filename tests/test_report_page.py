"""The page of the demo: one file that needs no network, in order for readers of every kind."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fastdl import report
from fastdl.report import figures, listings, page, scenes

VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "image"}


class Outline(HTMLParser):
    """What a page holds, as a reader or a browser finds it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.headings, self.links, self.open = [], [], [], [], []
        self.sections, self.loads = {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name in ("href", "src", "srcset", "action", "data", "poster"):
            if name in attributes:
                self.links.append((tag, attributes[name]))
        if tag == "section":
            self.sections[attributes["id"]] = []
        elif self.sections:
            self.sections[[*self.sections][-1]].append((tag, attributes))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = report.build(tmp_path_factory.mktemp("report") / "demo.html")
    return path.read_text(encoding="utf-8")


def check_page(text):
    """What holds for every page; returns its outline."""
    outline = Outline(text)
    assert outline.headings.count(1) == 1
    assert outline.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:]))
    assert len(set(outline.ids)) == len(outline.ids)
    for tag, link in outline.links:
        assert link.startswith(("#", "data:")), (tag, link[:80])
        if link.startswith("#"):
            assert link[1:] in outline.ids, link
    used = re.findall(r"url\(#([^)]*)\)", text)
    assert set(used) <= set(outline.ids)
    assert not re.search(r"url\((?!#)|@import|src=['\"]?http", text)
    for image in [*outline.of("img"), *(a for a in outline.of("svg")), *outline.of("canvas")]:
        assert image.get("alt") or len(image.get("aria-label", "")) > 8, image
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        assert table.startswith("<table><caption>")
        assert "scope=col" in table
        assert "scope=row" in table
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _ in outline.tags}
    assert "skip" in [a.get("class") for a in outline.of("a")]
    assert "lang" in outline.of("html")[0]
    assert len(text) < 6_000_000
    return outline


def test_the_demo_is_one_page_in_order(demo):
    outline = check_page(demo)
    assert len(outline.sections) == len(report.CHAPTERS)
    contents = [link for tag, link in outline.links if tag == "a" and link != "#main"]
    assert contents == [f"#{key}" for key in outline.sections]


def test_every_chapter_has_a_figure_its_code_and_times(demo):
    for part in re.findall(r"<section .*?</section>", demo, re.DOTALL):
        name = re.search(r"id=(\w+)", part)[1]
        assert "<figure>" in part, name
        assert part.count("<p class=lead>") == 1, name
        assert re.search(r"<b>[\d.,]+</b> times as fast", part), name
        code = re.search(r"<pre [^>]*><code>(.*?)</code>", part, re.DOTALL)[1]
        assert "fastdl" in code, name


def test_axes_of_every_picture_have_titles(demo):
    for part in re.findall(r"<script type=application/json>(\[.*?\])</script>", demo, re.DOTALL):
        assert '"names":["",' not in part
        assert ',""],"series"' not in part


def test_what_can_be_turned_and_heard_is_there_and_has_a_still_picture(demo):
    scene = re.search(r"<div class=scene>.*?</script>", demo, re.DOTALL)[0]
    assert scene.index("<img") < scene.index("<canvas hidden")
    assert demo.count("<audio controls") == 5
    assert demo.count("data:audio/wav;base64,UklGR") == 5


def test_the_test_loss_is_shown_for_the_chosen_degree_alone(demo):
    part = re.search(r"<section id=selection.*?</section>", demo, re.DOTALL)[0]
    table = next(t for t in re.findall(r"<table>.*?</table>", part, re.DOTALL) if "validation" in t)
    tests = [re.findall(r"<t[dh].*?</t[dh]>", row)[4] for row in re.findall(r"<tr>.*?</tr>", table)[1:]]
    assert sum(bool(re.search(r"\d", cell)) for cell in tests) == 1


def test_colours_have_contrast_in_both_schemes():
    style = (page.Path(page.__file__).parent / "page.css").read_text()
    blocks = re.findall(r":root\{([^}]*)\}", style)
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--([\w]+):(#[0-9a-f]+)", block))
        for ground in ("paper", "card", "soft"):
            for name in ("ink", "muted", "accent"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for name in [f"c{k}" for k in range(7)]:  # lines and marks, no text
            assert contrast(colours[name], colours["paper"]) >= 2.8, name


def contrast(a, b):
    """Of two colours, as WCAG defines it."""
    levels = []
    for text in (a, b):
        text = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
        part = np.array([int(text[k : k + 2], 16) for k in (0, 2, 4)]) / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_a_panel_gives_values_to_hover_and_a_legend_beside_the_data():
    x = np.arange(5.0)

    def draw(axes):
        axes.plot(x, x**2, label="square")
        axes.plot(x, [1, np.nan, 3, np.inf, 5], "--", label="<other>")
        axes.set(xlabel="x (m)", ylabel="y (s)")

    html = figures.panels([figures.Panel(draw, 'a "curve"')], "k")
    values = page.html.unescape(re.search(r"json>(.*?)</script>", html)[1])
    chart = __import__("json").loads(values)[0]
    assert chart["names"] == ["x (m)", "y (s)"]
    assert chart["series"][0]["y"] == [0, 1, 4, 9, 16]
    assert chart["series"][1]["y"] == [1, None, 3, None, 5]
    assert "swatch-line" in html
    assert "swatch-dash" in html
    assert "&lt;other&gt;" in html
    assert 'aria-label="a &quot;curve&quot;"' in html
    assert "DejaVu" not in html
    assert html.count("<svg") == 1


def test_names_of_curves_cannot_end_the_script():
    def draw(axes):
        axes.plot([0, 1], [0, 1], label="</script><b>")
        axes.set(xlabel="x", ylabel="y")

    html = figures.panels([figures.Panel(draw, "a curve of a strange name")], "k")
    assert html.count("</script>") == 1
    assert "<b>" not in html


def test_a_wide_panel_is_drawn_for_both_widths():
    html = figures.panels([figures.Panel(lambda axes: axes.plot([0, 1], [0, 1]), "a line", wide=True)], "k")
    assert html.count("<svg") == 2
    assert len(set(re.findall(r' id="([^"]*)"', html))) == len(re.findall(r' id="([^"]*)"', html))


def measure(fastdl, x):
    """Not shown."""
    y = fastdl.mu_law_encode(x)  # a comment
    return y


def test_code_is_shown_as_it_is_run():
    code = listings.source_of(measure)
    assert code.splitlines() == ["y = fastdl.mu_law_encode(x)  # a comment", "return y"]
    shown = listings.highlight(code)
    assert re.sub(r"<[^>]*>", "", shown) == page.html.escape(code)
    assert "<span class=kw>return</span>" in shown
    assert "<span class=co># a comment</span>" in shown


def test_a_chapter_compares_with_the_reference():
    chapter = page.Chapter("k", "K", "C.")
    x = np.arange(-500, 500, dtype=np.int16)
    codes = chapter.code(measure, x)
    assert codes.dtype == np.uint8
    assert "the same result to the bit" in chapter.blocks[0]
    assert "NumPy reference" in chapter.blocks[0]


def test_agreement_says_what_differs():
    assert listings.agreement(np.ones(3), np.ones(3)) == "the same result to the bit"
    assert listings.agreement(np.array([1.0, np.nan]), np.array([1.0, np.nan])) == "the same result to the bit"
    assert "1e-03" in listings.agreement(np.array([1.0, 10.01]), np.array([1.0, 10.0]))
    assert listings.agreement(np.ones(3), np.ones(4)) == ""


def test_scenes_hold_the_points_and_boxes_they_are_given():
    points = np.array([[0.0, 0, 0], [1, 2, 0], [1, 2, 4]])
    html = scenes.scene(
        [scenes.Layer("a", points, points[:, 2]), scenes.Layer("b", points, points[:, 2], (0.5, 0.5, 0.5))],
        limits=(0, 4), unit="m", alt="three points",
    )  # fmt: skip
    data = __import__("json").loads(re.search(r"json>(.*?)</script>", html)[1])
    at = np.frombuffer(__import__("base64").b64decode(data["layers"][0]["at"]), "<i2").reshape(-1, 3)
    np.testing.assert_allclose(at / 32767 * 2 + [0.5, 1, 2], points, atol=1e-4)
    assert data["layers"][1]["size"] == [0.25] * 3
    assert data["layers"][0]["count"] == 3


def test_tables_align_numbers_and_escape_text():
    chapter = page.Chapter("k", "K", "C.")
    chapter.table(["name", "n"], [["<b>", 1234567], ["`code`", 2]], "what `it` is")
    html = chapter.blocks[0]
    assert "<td class=n>1,234,567</td>" in html
    assert "&lt;b&gt;" in html
    assert "<code>code</code>" in html
    assert "<th scope=row>" in html
