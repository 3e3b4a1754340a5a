"""Figures: themeable, safe inside a page, the same every time, and never dependent on colour."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from holdtrue.documents import figures
from holdtrue.documents.blocks import Drawing
from holdtrue.documents.canvas import HUES, MARKERS, Line, short
from holdtrue.documents.svg import TOKENS, standalone

X = [4, 8, 12]
EVIL = "<script>\"&' name"


def drawn() -> dict[str, Drawing]:
    lines = [Line(EVIL, X, [1.5, None, 1e9]), Line("b", X, [0.5, 1e-9, 3.0])]
    row = figures.Row("gaming", 0.05, True, 0.02, 0.0, 0.07, 0.2, "met")
    unknown = figures.Row("quality", 0.7, False, None, None, None, None, "undetermined")
    spread = figures.Spread("d9", [0.0, 0.5, 1.0, 1.0], 0.0, 1.0, 0.75, 0.7)
    points = [
        figures.Point("0.5B", 5e8, 0.2, 0.1, 0.3, "not met"),
        figures.Point("3B", 3e9, 0.02, None, None, "met"),
    ]
    panel = figures.Panel("Gaming", {"one": points, "two": points[:1]}, 0.05, True, 0.2)
    low, high = [0.1, 0.2, None], [0.3, 0.4, 0.5]
    return {
        "evidence": figures.draw_evidence(lines, lines[1], 20, name="evidence", alt=EVIL),
        "criteria": figures.draw_criteria([row, unknown], name="criteria", alt="a"),
        "distributions": figures.draw_distributions([spread], name="distributions", alt="a"),
        "drift": figures.draw_drift(
            [Line("x", [1, 2, 3], [0.2, None, 0.4], low, high)], None, name="drift", alt="a"
        ),
        "differences": figures.draw_differences(
            [figures.Gap("d9", 0.1, 0.05, 0.15, True), figures.Gap("q", 0, None, None, False)],
            name="differences",
            alt="a",
        ),
        "scale": figures.draw_scale([panel], x_label="parameters", log=True, name="s", alt="a"),
    }


@pytest.fixture(scope="module")
def drawings() -> dict[str, Drawing]:
    return drawn()


def test_every_figure_is_an_element_and_a_picture(drawings: dict[str, Drawing]) -> None:
    for name, drawing in drawings.items():
        root = ElementTree.fromstring(drawing.svg)
        assert root.tag.endswith("}svg"), name
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert drawing.png.startswith(b"\x89PNG")


def test_no_figure_holds_what_a_strict_policy_refuses(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        assert not re.search(
            r"\sstyle=|<style|<script|\son\w+=|https?://(?!www\.w3\.org)", drawing.svg
        )
        assert "metadata" not in drawing.svg


def test_names_are_escaped(drawings: dict[str, Drawing]) -> None:
    root = ElementTree.fromstring(drawings["evidence"].svg)
    assert root.get("aria-label") == EVIL
    assert any(element.text == EVIL for element in root.iter())


def test_every_colour_is_a_token_that_the_page_can_change(drawings: dict[str, Drawing]) -> None:
    known = {light for light, _ in TOKENS.values()} | {"none", "#000000"}
    for name, drawing in drawings.items():
        for element in ElementTree.fromstring(drawing.svg).iter():
            for kind in ("fill", "stroke"):
                value = element.get(kind)
                if value in (None, "none"):
                    continue
                assert value in known, (name, value)
                if value != "#000000":
                    assert f"{kind[0]}-" in (element.get("class") or ""), (name, element.attrib)


def test_ids_carry_the_name_of_their_figure_and_all_are_used(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        root = ElementTree.fromstring(drawing.svg)
        ids = {element.get("id") for element in root.iter()} - {None}
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawing.svg))
        assert ids == used


def test_ids_of_two_figures_never_meet(drawings: dict[str, Drawing]) -> None:
    found = [set(re.findall(r'\sid="([^"]+)"', drawing.svg)) for drawing in drawings.values()]
    assert sum(map(len, found)) == len(set().union(*found))


def test_a_figure_is_the_same_every_time(drawings: dict[str, Drawing]) -> None:
    assert {name: one.svg for name, one in drawn().items()} == {
        name: one.svg for name, one in drawings.items()
    }


def test_series_differ_by_marker_as_well_as_by_hue() -> None:
    assert len(set(HUES)) == len(HUES) <= len(MARKERS)
    assert len(set(MARKERS)) == len(MARKERS)
    assert len({marker for _, marker in figures.DECISIONS.values()}) == 3


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_every_hue_stands_out_from_its_paper(theme: int) -> None:
    paper = TOKENS["paper"][theme]
    for name in ("ink", "muted", *HUES, "good", "bad", "open"):
        least = 4.5 if name in ("ink", "muted") else 3.0
        assert _contrast(TOKENS[name][theme], paper) >= least, name


# Viénot, Brettel and Mollon 1999: what remains of linear RGB without the long (protan) or the
# middle (deutan) wavelength cones.
MISSING = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@pytest.mark.parametrize("kind", sorted(MISSING))
@pytest.mark.parametrize("theme", [0, 1])
def test_decisions_can_be_told_apart_without_red_and_green(kind: str, theme: int) -> None:
    def seen(color: str) -> tuple[float, ...]:
        rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        mixed = [sum(f * c for f, c in zip(row, linear, strict=True)) for row in MISSING[kind]]
        return tuple(max(value, 0.0) ** (1 / 2.4) for value in mixed)

    good, bad = seen(TOKENS["good"][theme]), seen(TOKENS["bad"][theme])
    apart = sum((a - b) ** 2 for a, b in zip(good, bad, strict=True)) ** 0.5
    assert apart > 0.15


def test_the_file_beside_the_page_has_its_own_colours_for_dark(
    drawings: dict[str, Drawing],
) -> None:
    text = standalone(drawings["criteria"].svg)
    ElementTree.fromstring(text.encode())
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, "1/1,000"), (0.5, "0.5"), (20, "20"), (1000, "1k"), (3e10, "30B"), (1.35e8, "135M")],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert short(value) == text
