"""The published D9, quality and identity formulas, exactly.

Why they exist: the baseline S35 and every figure published with it were computed so, and a number
can be compared only with a number of the same kind. They look at the surface alone (length, full
stops, distinct words, a few substrings) and follow human ratings poorly; ``calibrated`` is what
people would say. Nothing here is improved on: the flaws of the original, such as "we" found
inside "answer", are part of the measure.

Source: the published analyses of sessions S32 to S36 of SAGE, dp-web4/HRM, January 2026. Their
figures follow from the formulas to three decimals, with the self-references that readers find.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdtrue.scoring.measures import Naming

CLOSERS = (".", "!", "?", '"')
PARTNERSHIP_SUBSTRINGS = ("we", "our", "together", "partnership", "relationship", "teacher")
SELF_REFERENCE_VALUES = {Naming.NATURAL: 1.0, Naming.MECHANICAL: 0.2, Naming.NONE: 0.0}


def d9(response: str, lowered: Sequence[str] | None = None) -> float:
    """D9 of one response, in [0, 1].

    ``lowered`` are its words in lower case, if known; fewer of them may be different.

    0.5; +0.15 at 40-100 words, -0.1 under 40, -0.2 over 150; +0.1 for 2-5 sentences (split at
    full stops, empty pieces dropped); +0.1 if it ends in ``. ! ? "``, else -0.15; +0.1 if it has
    over 10 words of which over 60 % are distinct (lower-cased, split at white space).
    """
    words = response.lower().split() if lowered is None else lowered
    value = 0.5
    if len(words) < 40:
        value -= 0.1
    elif len(words) <= 100:
        value += 0.15
    elif len(words) > 150:
        value -= 0.2
    sentences = len(list(filter(str.strip, response.split("."))))
    if 2 <= sentences <= 5:
        value += 0.1
    value += 0.1 if is_closed(response) else -0.15
    if len(words) > 10 and (_vary(words) or (lowered and _vary(response.lower().split()))):
        value += 0.1
    return clamp(value)


def _vary(words: Sequence[str]) -> bool:
    return len(set(words)) / len(words) > 0.6


def quality(
    responses: Sequence[str],
    *,
    gaming: bool,
    mean_words: float | None = None,
    lowered: Iterable[str] | None = None,
) -> float:
    """Quality of a session of at least one response, in [0, 1].

    ``mean_words`` and the responses in lower case are found where they are not given.

    0.5; mean words 50-90 +0.2, else 40-100 +0.1, else over 150 -0.3; +0.2 x the share of
    responses that are closed; +0.1 if any of PARTNERSHIP_SUBSTRINGS occurs in any response;
    -0.2 with ``gaming``, that is if any response has a mechanical self-reference.
    """
    if mean_words is None:
        mean_words = sum([len(response.split()) for response in responses]) / len(responses)
    value = 0.5
    if 50 <= mean_words <= 90:
        value += 0.2
    elif 40 <= mean_words <= 100:
        value += 0.1
    elif mean_words > 150:
        value -= 0.3
    value += 0.2 * sum(map(is_closed, responses)) / len(responses)
    if any(map(_speaks_of_partnership, lowered or map(str.lower, responses))):
        value += 0.1
    if gaming:
        value -= 0.2
    return clamp(value)


def _speaks_of_partnership(lowered: str) -> bool:
    return any(part in lowered for part in PARTNERSHIP_SUBSTRINGS)


def identity_coherence(d9_mean: float, self_references: Sequence[Naming], quality: float) -> float:
    """0.5 x D9 + 0.3 x self-reference + 0.2 x quality of a session, in [0, 1].

    Self-reference is the mean of 1.0 (natural), 0.2 (mechanical) and 0 (none) over at least one
    response.
    """
    values = [SELF_REFERENCE_VALUES[naming] for naming in self_references]
    return 0.5 * d9_mean + 0.3 * sum(values) / len(values) + 0.2 * quality


def is_closed(response: str) -> bool:
    """Whether it ends in ``. ! ? "``, white space aside."""
    return response.rstrip().endswith(CLOSERS)


def clamp(value: float) -> float:
    return 0.0 if value < 0 else 1.0 if value > 1 else value
