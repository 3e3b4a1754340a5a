"""Matplotlib's SVG turned into an element that a page can theme and a strict policy allows.

Inline styles become presentation attributes with a class per colour token, so that the page's
style sheet decides the colours; ids are unique to the figure; fonts are the page's own. The file
beside the page carries the same element with a small style sheet for light and dark.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}href"

# Colour tokens: light, dark. The eight hues stay apart for the common colour blindnesses
# (after Okabe and Ito 2008, darkened or lightened to 3:1 against their paper).
TOKENS: dict[str, tuple[str, str]] = {
    "ink": ("#1c2430", "#e8ecf2"),
    "muted": ("#596373", "#a3adbb"),
    "grid": ("#dde1e8", "#333c49"),
    "paper": ("#ffffff", "#181d26"),
    "surface": ("#f4f5f8", "#0f1319"),
    "c1": ("#0068a5", "#5cb8ee"),
    "c2": ("#c9510a", "#ff9257"),
    "c3": ("#00835f", "#35c99d"),
    "c4": ("#a84c8c", "#e7a1cc"),
    "c5": ("#946800", "#eebb44"),
    "c6": ("#5b5fc7", "#a9adff"),
    "good": ("#007a56", "#3ccb9f"),
    "bad": ("#c2410b", "#ff8f5e"),
    "open": ("#6a7282", "#9ba6b5"),
}
_BY_HEX = {light: name for name, (light, _) in TOKENS.items()}
_KEPT = (
    "stroke-width",
    "stroke-dasharray",
    "stroke-dashoffset",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-opacity",
    "fill-opacity",
    "opacity",
    "text-anchor",
)


def color(token: str) -> str:
    """The light colour of a token, as Matplotlib takes it."""
    return TOKENS[token][0]


def themed(source: str, *, name: str, alt: str) -> str:
    """One ``svg`` element from Matplotlib's SVG text; ``alt`` becomes its title and label."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(source)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    used = _references(root)
    for element in root.iter():
        _restyle(element)
        _rename(element, used, name)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("class", "figure")
    for element in root.iter():
        element.tail = None
        if not (element.text or "").strip():
            element.text = None
    return ElementTree.tostring(root, encoding="unicode")


def standalone(svg: str) -> str:
    """The same element as a file of its own, with its style sheet for light and dark."""
    head, rest = svg.split(">", 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}><style>{_sheet()}</style>{rest}\n'


def token_css() -> str:
    """The rules that give ``s-`` and ``f-`` classes the colours of the page's variables."""
    return "".join(
        f".s-{name}{{stroke:var(--{name})}}.f-{name}{{fill:var(--{name})}}" for name in TOKENS
    )


def variables(theme: int) -> str:
    """Declarations of all tokens for light (0) or dark (1)."""
    return "".join(f"--{name}:{colors[theme]};" for name, colors in TOKENS.items())


def _sheet() -> str:
    dark = "".join(
        f".s-{name}{{stroke:{value}}}.f-{name}{{fill:{value}}}"
        for name, (_, value) in TOKENS.items()
    )
    return (
        "svg{font-family:system-ui,sans-serif;background:#ffffff}"
        f"@media(prefers-color-scheme:dark){{svg{{background:{TOKENS['paper'][1]}}}{dark}}}"
    )


def _restyle(element: ElementTree.Element) -> None:
    """Replace the style attribute, which a content security policy would refuse."""
    style = element.attrib.pop("style", None)
    if style is None:
        return
    rules = dict(part.split(":", 1) for part in style.split(";") if ":" in part)
    rules = {key.strip(): value.strip() for key, value in rules.items()}
    classes = []
    for kind, prefix in (("fill", "f"), ("stroke", "s")):
        value = rules.get(kind)
        if value is None:
            continue
        element.set(kind, value)
        if token := _BY_HEX.get(value.lower()):
            classes.append(f"{prefix}-{token}")
    for key in _KEPT:
        if key in rules:
            element.set(key, rules[key])
    font = rules.get("font") or rules.get("font-size", "")
    if size := re.search(r"([\d.]+)px", font):
        element.set("font-size", size[1])
    if classes:
        element.set("class", " ".join(classes))


def _references(root: ElementTree.Element) -> set[str]:
    """The ids that other elements point to."""
    found: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            found.update(re.findall(r"url\(#([^)]+)\)", value))
            if key in (XLINK, "href") and value.startswith("#"):
                found.add(value[1:])
    return found


def _rename(element: ElementTree.Element, used: set[str], name: str) -> None:
    """Keep only ids in use, under the figure's own name, and plain ``href`` links."""
    if (identity := element.attrib.pop("id", None)) in used:
        element.set("id", f"{name}-{identity}")
    link = element.attrib.pop(XLINK, None) or element.attrib.pop("href", None)
    if link:
        element.set("href", f"#{name}-{link[1:]}")
    for key, value in list(element.attrib.items()):
        if "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
