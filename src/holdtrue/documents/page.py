"""A document as one self-contained HTML file: no network, no inline handlers, a strict policy.

Text reaches the page only through Jinja's autoescape or, for transcripts, as JSON that the page's
script puts into text nodes. Our own style sheet and script are allowed by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from holdtrue import __version__
from holdtrue.documents.blocks import Document, Gauge, Inline, Run, Transcripts, plain
from holdtrue.documents.escape import printable, script_json
from holdtrue.documents.svg import token_css, variables

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E"
    "%3Cpath d='M12 2.5 20.5 6v6c0 5-3.6 8.4-8.5 9.7C7.1 20.4 3.5 17 3.5 12V6z' "
    "fill='%230068a5'/%3E%3C/svg%3E"
)


def render_page(document: Document, *, home: str | None = None) -> str:
    """The whole page. ``home`` is a link back to an index, where there is one."""
    css, js = style_sheet(), script()
    browsers = [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Transcripts)
    ]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            document=document,
            css=Markup(css),
            js=Markup(js),
            policy=policy(css, js),
            data=Markup(script_json(browsers[0].data)) if browsers else "",
            icon=ICON,
            home=home,
            version=__version__,
        )
    )


def policy(css: str, js: str, *, forms: bool = False) -> str:
    """The page's content security policy: nothing but its own style sheet, script and images.

    ``forms`` lets a served page send its form back to where it came from.
    """
    target = "'self'" if forms else "'none'"
    return (
        f"default-src 'none'; script-src '{_hash(js)}'; style-src '{_hash(css)}'; "
        f"img-src data:; base-uri 'none'; form-action {target}"
    )


@cache
def style_sheet() -> str:
    """The page's style sheet, with the colours of the figures for light and dark."""
    light, dark = variables(0), variables(1)
    themes = (
        f":root{{color-scheme:light;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=light]{{color-scheme:light;{light}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
        f"@media print{{:root,:root[data-theme]{{color-scheme:light;{light}}}}}"
    )
    return themes + token_css() + _template("page.css")


@cache
def script() -> str:
    """The page's script."""
    return _template("page.js")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _template(name: str) -> str:
    return (resources.files("holdtrue") / "data" / "templates" / name).read_text("utf-8")


@cache
def environment() -> Environment:
    """The templates, with autoescape, undefined names as errors, and our filters."""
    environment = Environment(
        loader=FunctionLoader(_template),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["runs"] = _runs
    environment.filters["kind"] = lambda value: type(value).__name__
    environment.filters["plain"] = plain
    environment.filters["trusted"] = _trusted
    environment.filters["geometry"] = _geometry
    return environment


def _shown(value: Any) -> Any:
    """Hidden and bidirectional characters are shown in everything that is not markup of ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _runs(text: Inline) -> tuple[Run, ...]:
    return text if isinstance(text, tuple) else (text,)


def _trusted(svg: str) -> Markup:
    """A figure's own SVG, whose text Matplotlib and ElementTree have escaped."""
    return Markup(svg)


def _geometry(gauge: Gauge) -> dict[str, float | None]:
    """Where the parts of a gauge lie, in percent of its width."""

    def place(value: float | None) -> float | None:
        if value is None:
            return None
        share = (value - gauge.lowest) / (gauge.highest - gauge.lowest)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    edge, low, high = place(gauge.bound) or 0.0, place(gauge.low), place(gauge.high)
    return {
        "bound": edge,
        "good_from": 0.0 if gauge.upper else edge,
        "good_width": edge if gauge.upper else 100 - edge,
        "dot": place(gauge.estimate),
        "low": low,
        "width": round(high - low, 2) if low is not None and high is not None else None,
    }
