"""Names of measures and numbers in words: one way of writing each, in every document."""

from __future__ import annotations

import re

from holdtrue.scoring.measures import RATES, SESSION_MEASURES

NAMES: dict[str, str] = {
    "gaming_rate": "Gaming",
    "generic_ai_rate": "Generic AI",
    "truncation_rate": "Truncation",
    "mean_words": "Words of a reply",
    "d9": "D9",
    "quality": "Quality",
    "identity_coherence": "Identity coherence",
    "calibrated_coherence": "Coherence, calibrated",
    "calibrated_quality": "Quality, calibrated",
    "calibrated_identity": "Identity, calibrated",
    "self_identification_rate": "Self-identification",
    "mechanical_partnership_rate": "Stock partnership",
    "partnership_density": "Partnership",
    "lecture_rate": "Lecture",
    "confabulation_rate": "Confabulation",
    "repetition": "Repetition",
}

FINDINGS: dict[str, str] = {
    "self_reference:mechanical": "Mechanical name",
    "self_reference:natural": "Natural name",
    "generic_ai": "Generic AI",
    "lecture": "Lecture",
    "truncated": "Truncated",
    "partnership:mechanical": "Stock partnership",
    "partnership:natural": "Partnership",
    "confabulated": "Confabulation",
}
DASH = "–"
_IDENTIFIERS = re.compile(r"\b(?:" + "|".join(name for name in NAMES if "_" in name) + r")\b")


def name_of(measure: str) -> str:
    """A measure's short name; an unknown one reads as it is written."""
    return NAMES.get(measure, measure.replace("_", " "))


def model_name(model: str) -> str:
    """A model as one says it: without the engine's prefix, a server's address or a folder.

    The full name stands in the set-up.
    """
    text = re.sub(r"^(gguf|hf|openai|ollama|vllm|inspect):", "", model)
    text = re.sub(r"@https?://\S*$", "", text)
    if re.match(r"[~./\\]|[A-Za-z]:\\", text) or ".gguf" in text:
        text = re.split(r"[/\\]", text.rstrip("/\\"))[-1].replace(".gguf", "")
    return text or model


def prose(text: str) -> str:
    """A sentence of an earlier stage with the identifiers of measures in it as words."""
    return _IDENTIFIERS.sub(lambda found: _in_a_sentence(found[0]), text)


def _in_a_sentence(measure: str) -> str:
    name = name_of(measure)
    return name if name[:2].isupper() or name[1:2].isdigit() else name[:1].lower() + name[1:]


def meaning_of(measure: str) -> str:
    """What a measure is, in a few words."""
    return SESSION_MEASURES.get(measure, "")


def value(measure: str, number: float | None) -> str:
    """A number in the measure's own unit: a rate in percent, words to one decimal."""
    if number is None:
        return DASH
    if measure in RATES:
        return percent(number)
    if measure == "mean_words":
        return f"{number:.1f}"
    return f"{number:.3f}"


def interval(measure: str, low: float | None, high: float | None) -> str:
    """An interval in the measure's own unit."""
    if low is None or high is None:
        return DASH
    if measure in RATES:
        return f"{percent(low).removesuffix(' %')} to {percent(high)}"
    return f"{value(measure, low)} to {value(measure, high)}"


def bound(measure: str, direction: str, number: float) -> str:
    """A bound as one says it: *at most 5 %*, *at least 0.750*."""
    return f"{direction} {value(measure, number)}"


def percent(share: float) -> str:
    """A share in percent, with one decimal where it is not a whole number."""
    number = round(share * 100, 1)
    return f"{number:.0f} %" if number == int(number) else f"{number:.1f} %"


def evidence(log10: float) -> str:
    """Evidence as what a bet of 1 has grown to: *31*, *1/250*, *over 10⁶*."""
    if log10 > 6:
        return "over 10⁶"
    if log10 < -6:
        return "under 10⁻⁶"
    grown = 10.0**log10
    if grown >= 10:
        return f"{grown:,.0f}"
    if grown >= 0.1:
        return f"{grown:.2g}"
    return f"1/{1 / grown:,.0f}"


def size(number: float | None) -> str:
    """Bytes in decimal units."""
    if number is None:
        return DASH
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def count(number: float | None) -> str:
    """A large count in words that fit a table: *135 M*, *30.5 B*."""
    if number is None:
        return DASH
    for unit, limit in (("B", 1e9), ("M", 1e6), ("k", 1e4)):
        if number >= limit:
            scaled = number / (1e3 if unit == "k" else limit)
            return f"{scaled:.3g} {unit}"
    return f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds, minutes and seconds, or hours and minutes."""
    if seconds is None:
        return DASH
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """*1 session*, *2 sessions*."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def listed(items: list[str], joint: str = "and") -> str:
    """*a, b and c*."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joint} {items[-1]}"
