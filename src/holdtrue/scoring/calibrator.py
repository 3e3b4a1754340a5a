"""Measures held against human labels: detectors, scores, a judge, and annotators among themselves.

Labels of several annotators are taken as they are: every label of a class is a pair with what was
told, so where readers differ nobody can agree with both. Ratings are averaged over annotators
before they are ranked. It shows agreement with these readers on these transcripts, and says
nothing of other personas or models.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holdtrue.scoring import agreement
from holdtrue.scoring.agreement import ClassAgreement, Estimate, ValueAgreement
from holdtrue.scoring.calibrated import RATED
from holdtrue.scoring.calibration import Calibration, Comparison, Disagreement
from holdtrue.scoring.labels import (
    FLAGS,
    HIGHEST,
    LOWEST,
    NAMINGS,
    RATINGS,
    Index,
    LabelFile,
    Value,
)
from holdtrue.scoring.measures import (
    RESPONSE_SCORES,
    Naming,
    ResponseFindings,
    ScoredSession,
)
from holdtrue.scoring.rubric import Judgement
from holdtrue.scoring.score import RATE_EVENTS

CLASSES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(NAMINGS, tuple(naming.value for naming in Naming)),
    **dict.fromkeys(FLAGS, ("no", "yes")),
}
SCORES_OF: tuple[tuple[str, str], ...] = (
    *RATED.items(),
    ("d9", "on_topic"),
    ("quality", "quality"),
    ("identity_coherence", "identity"),
)
"""Session scores, and the ratings that they are meant to follow."""
RESPONSE_SCORES_OF = tuple(pair for pair in SCORES_OF if pair[0] in RESPONSE_SCORES)
EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Labelled:
    """One response with all that annotators said of it: measure -> annotator -> value."""

    session: int
    response: int
    said: Mapping[str, Mapping[str, Value]]

    def mean(self, rating: str) -> float | None:
        """The mean rating over annotators; None where nobody rated."""
        values = [float(value) for value in self.said.get(rating, {}).values()]
        return sum(values) / len(values) if values else None


class Calibrator:
    """Compares measures of scored sessions with one label file.

    ``worst`` is how many disagreements are kept per measure. Raises TranscriptError when a label
    means no transcript or response, or more than one.
    """

    def __init__(
        self,
        labels: LabelFile,
        scored: Sequence[ScoredSession],
        rng: np.random.Generator,
        *,
        worst: int = 5,
    ) -> None:
        self.labels = labels
        self.rng = rng
        self.worst = worst
        self.scored = scored
        self.responses = _joined(labels, scored)
        self.by_session: dict[int, list[Labelled]] = {}
        for item in self.responses:
            self.by_session.setdefault(item.session, []).append(item)
        self.used = sorted(self.by_session)

    def compare(self, judgements: Mapping[int, Sequence[Judgement]] | None = None) -> Calibration:
        """All comparisons; ``judgements`` by position of the session, if a judge was asked."""
        from holdtrue.scoring.judge import unscored

        judged = judgements or {}
        return Calibration(
            file=str(self.labels.path),
            annotators=self.labels.annotators,
            sessions=len(self.used),
            responses=len(self.responses),
            scorer=self.scored[0].scores.scorer if self.scored else "",
            detectors=tuple(self._detector(name) for name in CLASSES if self._has(name)),
            scores=tuple(self._scores()),
            between=tuple(self._between()),
            judge=tuple(self._judge(judged)) if judged else (),
            judge_unscored=unscored([judged[session] for session in sorted(judged)]),
        )

    def _has(self, measure: str) -> bool:
        return any(item.said.get(measure) for item in self.responses)

    def _found(self, item: Labelled) -> ResponseFindings:
        return self.scored[item.session].scores.responses[item.response - 1]

    # ---- detectors ----

    def _detector(self, measure: str) -> Comparison:
        labelled: list[int] = []
        told: list[int] = []
        clusters: list[int] = []
        gaps: list[Disagreement] = []
        unscored = 0
        for item in self.responses:
            values = item.said.get(measure, {})
            found = getattr(self._found(item), measure)
            if not values:
                continue
            if found is None:
                unscored += 1
                continue
            for value in values.values():
                labelled.append(number_of(value))
                told.append(number_of(found))
                clusters.append(item.session)
            if disagreement := self._class_gap(measure, item, values, found):
                gaps.append(disagreement)
        result = agreement.on_classes(labelled, told, clusters, CLASSES[measure], self.rng)
        return Comparison(measure, measure, "response", result, unscored, self._worst(gaps))

    def _class_gap(
        self, measure: str, item: Labelled, values: Mapping[str, Value], found: Value
    ) -> Disagreement | None:
        """The gap is the share of annotators who disagree, then how far apart the classes are."""
        steps = [abs(number_of(value) - number_of(found)) for value in values.values()]
        if not any(steps):
            return None
        share = sum(map(bool, steps)) / len(steps)
        shown = {annotator: _plain(value) for annotator, value in values.items()}
        return self._at(measure, item, shown, _plain(found), share + max(steps) / 10)

    def _at(
        self, measure: str, item: Labelled, labelled: Any, told: Any, gap: float
    ) -> Disagreement:
        session = self.scored[item.session]
        text = session.transcript.turns[item.response - 1].response
        spans = tuple(s.as_dict() for s in self._found(item).spans if s.measure == measure)
        return Disagreement(
            measure,
            file=session.transcript.source or session.transcript.id,
            response=item.response,
            labelled=labelled,
            told=told,
            gap=gap,
            spans=spans,
            excerpt=text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…",
        )

    def _worst(self, gaps: list[Disagreement]) -> tuple[Disagreement, ...]:
        return tuple(sorted(gaps, key=lambda item: -item.gap)[: self.worst])

    # ---- scores ----

    def _scores(self) -> list[Comparison]:
        found = [
            self._session_score(score, rating) for score, rating in SCORES_OF if self._has(rating)
        ]
        found += [
            self._session_rate(rate, measure, events)
            for rate, (measure, events) in RATE_EVENTS.items()
            if self._has(measure) and self._long_sessions()
        ]
        found += [
            self._by_response(
                score, rating, [self._response_score(score, r) for r in self.responses]
            )
            for score, rating in RESPONSE_SCORES_OF
            if self._has(rating)
        ]
        return found

    def _response_score(self, score: str, item: Labelled) -> float | None:
        each = self.scored[item.session].scores.response_scores
        return each[item.response - 1].values.get(score) if each else None

    def _long_sessions(self) -> bool:
        """Whether a rate of a session says more than its one response does."""
        return any(len(self.scored[session].transcript.turns) > 1 for session in self.used)

    def _session_score(self, score: str, rating: str) -> Comparison:
        means = {session: self._mean_rating(session, rating) for session in self.used}
        told = {session: self.scored[session].scores.values.get(score) for session in self.used}
        return self._by_session(score, rating, means, told)

    def _session_rate(self, rate: str, measure: str, events: frozenset[object]) -> Comparison:
        """A rate as told and as labelled, both over the labelled responses of the session."""
        labelled: dict[int, float | None] = {}
        told: dict[int, float | None] = {}
        for session in self.used:
            here = [item for item in self.by_session[session] if item.said.get(measure)]
            values = [value in events for r in here for value in r.said[measure].values()]
            found = [getattr(self._found(r), measure) for r in here]
            known = [value in events for value in found if value is not None]
            labelled[session] = sum(values) / len(values) if values else None
            told[session] = sum(known) / len(known) if known else None
        return self._by_session(rate, measure, labelled, told, same_scale=True)

    def _mean_rating(self, session: int, rating: str) -> float | None:
        """The mean rating of a session; None unless every response of it is rated."""
        means = [item.mean(rating) for item in self.by_session[session]]
        known = [mean for mean in means if mean is not None]
        whole = len(known) == len(self.scored[session].transcript.turns)
        return sum(known) / len(known) if whole and known else None

    def _by_session(
        self,
        measure: str,
        label: str,
        labelled: Mapping[int, float | None],
        told: Mapping[int, float | None],
        *,
        same_scale: bool = False,
    ) -> Comparison:
        rows = [
            (session, x, y)
            for session in self.used
            if (x := labelled[session]) is not None and (y := told[session]) is not None
        ]
        sessions, means, values = _columns(rows)
        unscored = sum(labelled[s] is not None and told[s] is None for s in self.used)
        result = agreement.on_values(means, values, sessions, self.rng, same_scale=same_scale)
        gaps = [
            Disagreement(
                measure,
                file=self.scored[session].transcript.source or "",
                response=None,
                labelled=round(means[row], 3),
                told=round(values[row], 3),
                gap=gap,
            )
            for row, (session, gap) in enumerate(
                zip(sessions, _rank_gaps(means, values), strict=True)
            )
            if gap > 0
        ]
        return Comparison(measure, label, "session", result, unscored, self._worst(gaps))

    def _by_response(
        self, measure: str, label: str, told: Sequence[float | None], *, same_scale: bool = False
    ) -> Comparison:
        """Numbers of responses (in the order of ``responses``) against their mean ratings."""
        rated = [
            (item, mean, value)
            for item, value in zip(self.responses, told, strict=True)
            if (mean := item.mean(label)) is not None
        ]
        rows = [(item, mean, value) for item, mean, value in rated if value is not None]
        items, means, values = _columns(rows)
        clusters = [item.session for item in items]
        result = agreement.on_values(means, values, clusters, self.rng, same_scale=same_scale)
        gaps = [
            self._at(measure, item, mean, round(value, 3), gap)
            for (item, mean, value), gap in zip(rows, _rank_gaps(means, values), strict=True)
            if gap > 0
        ]
        unscored = len(rated) - len(rows)
        return Comparison(measure, label, "response", result, unscored, self._worst(gaps))

    # ---- annotators, judge ----

    def _between(self) -> list[tuple[str, str, tuple[Comparison, ...]]]:
        return [
            (a, b, tuple(c for c in self._pair(a, b) if c.result.pairs))
            for a, b in itertools.combinations(self.labels.annotators, 2)
        ]

    def _pair(self, a: str, b: str) -> list[Comparison]:
        found = []
        for measure in (*CLASSES, *RATINGS):
            rows = [
                (item, values[a], values[b])
                for item in self.responses
                if {a, b} <= (values := item.said.get(measure, {})).keys()
            ]
            items, first, second = _columns(rows)
            clusters = [item.session for item in items]
            x, y = [number_of(v) for v in first], [number_of(v) for v in second]
            if measure in CLASSES:
                names = CLASSES[measure]
                result: ClassAgreement | ValueAgreement = agreement.on_classes(
                    x, y, clusters, names, self.rng
                )
            else:
                ranked = agreement.on_values(x, y, clusters, self.rng, same_scale=True)
                result = replace(ranked, kappa=self._kappa(x, y, clusters))
            gaps = [
                self._at(measure, item, {a: _plain(p), b: _plain(q)}, None, abs(m - n))
                for (item, p, q), m, n in zip(rows, x, y, strict=True)
                if m != n
            ]
            found.append(Comparison(measure, measure, "response", result, 0, self._worst(gaps)))
        return found

    def _kappa(self, x: Sequence[int], y: Sequence[int], clusters: Sequence[int]) -> Estimate:
        return agreement.rating_kappa(x, y, clusters, (LOWEST, HIGHEST), self.rng)

    def _judge(self, judged: Mapping[int, Sequence[Judgement]]) -> list[Comparison]:
        found = []
        for rating in RATINGS:
            told = [self._judged(judged, item, rating) for item in self.responses]
            if not self._has(rating) or not any(value is not None for value in told):
                continue
            by_response = self._by_response(rating, rating, told, same_scale=True)
            pairs = [
                (item.session, number_of(value), int(rated))
                for item, rated in zip(self.responses, told, strict=True)
                for value in item.said.get(rating, {}).values()
                if rated is not None
            ]
            clusters, x, y = _columns(pairs)
            assert isinstance(by_response.result, ValueAgreement)
            result = replace(by_response.result, kappa=self._kappa(x, y, clusters))
            found.append(replace(by_response, result=result))
            if self._long_sessions():
                found.append(self._judged_sessions(rating, told))
        return found

    def _judged(
        self, judged: Mapping[int, Sequence[Judgement]], item: Labelled, rating: str
    ) -> float | None:
        ratings = judged[item.session][item.response - 1].ratings
        return float(ratings[rating]) if ratings and rating in ratings else None

    def _judged_sessions(self, rating: str, told: Sequence[float | None]) -> Comparison:
        values: dict[int, list[float]] = {session: [] for session in self.used}
        for item, value in zip(self.responses, told, strict=True):
            if value is not None:
                values[item.session].append(value)
        means = {session: sum(v) / len(v) if v else None for session, v in values.items()}
        labelled = {session: self._mean_rating(session, rating) for session in self.used}
        return self._by_session(rating, rating, labelled, means, same_scale=True)


def number_of(value: Value) -> int:
    """The class number of a naming or flag; a rating is its own."""
    if isinstance(value, Naming):
        return list(Naming).index(value)
    return int(value)


def _plain(value: Value) -> str | bool | int:
    return value.value if isinstance(value, Naming) else value


def _joined(labels: LabelFile, scored: Sequence[ScoredSession]) -> list[Labelled]:
    """Every labelled response, in the order of the transcripts."""
    index = Index([session.transcript for session in scored])
    said: dict[tuple[int, int], dict[str, dict[str, Value]]] = {}
    for label in labels.labels:
        here = said.setdefault((index.position(label), label.response), {})
        for measure, value in label.values.items():
            here.setdefault(measure, {})[label.annotator] = value
    return [
        Labelled(session, response, said[session, response]) for session, response in sorted(said)
    ]


def _columns(rows: Sequence[tuple[Any, Any, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def _rank_gaps(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """How far apart the ranks of each pair are, as a share of all ranks."""
    ranks = [agreement.mean_ranks(np.asarray(values, dtype=float)) for values in (x, y)]
    return [float(gap) / len(x) for gap in np.abs(ranks[0] - ranks[1])]
