"""Fit the linear scores of the findings, and say how well they do on what was left out.

    python benchmarks/fit_findings.py [--write]

Five logistic models with L2 penalties, classes weighted alike (but for confabulation), on
../shared/data, the contrast cases in tests/scoring/contrast and the written replies in
tests/scoring/written, for collapse also on sessions of the embedded model in
tests/scoring/labelled. All give single words weights; in collapse and the two of partnership real
transcripts weigh as much as all written cases together. The figures come from leaving out one SAGE
transcript, or one other persona, at a time.
``--write`` puts the weights of all data into src/holdtrue/data/weights/findings.toml and
word_weights.json; FINDINGS_VERSION must be raised with them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from findings_agreement import DATA, exchanges, f1, sage_transcripts
from holdtrue.persona import Persona, load_persona
from holdtrue.scoring import collapse, confabulation, generic, lecture, partnership
from holdtrue.scoring.findings import _Conversation, _memory, replies_of
from holdtrue.scoring.lexicon import NAME_KEY, NAME_MARK, WEIGHT_PRIOR, WORD_SCORES
from holdtrue.scoring.text import words_of
from holdtrue.transcript import Transcript, Turn

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "src" / "holdtrue" / "data" / "weights"
PRESENCE = (
    "relation_any",
    "relating",
    "stock",
    "pair",
    "ours",
    "you",
    "prompt_we",
    "list",
    "we",
    "generic",
)
MANNER = ("relation", "generic", "recurrence")
EMBEDDED = "smollm2-135m"
CONFABULATION = ("subjects", "lives", "third_parties", "years")
COLLAPSE_PENALTY = 0.05
COLLAPSE_MARGIN = 0.8  # log odds that it must exceed: it sees words, and an honest line has some
PARTNERSHIP_PENALTY = 0.5
PARTNERSHIP_MARGIN = 0.4  # log odds likewise: the written replies are fuller of it than talk is
LECTURE_PENALTY = 0.05
CONFABULATION_PENALTY = 0.2
CONFABULATION_MARGIN = 1.25  # log odds: written personas tell of lives that real ones have not
MARGINS = {
    "collapse": COLLAPSE_MARGIN,
    "partnership": PARTNERSHIP_MARGIN,
    "confabulation": CONFABULATION_MARGIN,
}
CONFABULATION_SHARE = 0.3  # rarer than its opposite, and an accusation
WORD_SCALE = 7.0  # mean weights are small numbers: what makes their penalty that of the others
LEAST_REPLIES = 5  # that a word must stand in to have a weight


@dataclass(frozen=True)
class Row:
    """One labelled response: what was left out with it, weight, features, words, labels.

    ``told`` is whether the cues of a generic AI find one, ``ruled`` whether it lectures by rule and
    ``weighed`` whether its words may say so; ``words`` are those outside quotations, ``own_words``
    those that the speaker says of itself.
    """

    group: str
    weight: float
    shared: dict[str, float]
    elsewhere: bool
    invented: dict[str, float]
    told: bool
    ruled: bool
    weighed: bool
    words: tuple[str, ...]
    own_words: tuple[str, ...]
    labels: dict[str, Any]

    @property
    def is_real(self) -> bool:
        """Whether it stands in a real transcript and not among written cases."""
        return not self.group.startswith("persona ")

    @property
    def is_written(self) -> bool:
        """Whether its id is a set's letter and a number, as in tests/scoring/written (a001) and the
        reference exchanges (p001), and not a contrast case's (bit-01)."""
        return str(self.labels.get("id", ""))[1:].isdigit()


def contrast() -> list[tuple[Transcript, dict[str, Any]]]:
    """The contrast cases and the written replies of the tests, with their labels."""
    found = []
    folder = ROOT / "tests" / "scoring"
    for path in sorted([*folder.glob("contrast/*.jsonl"), *folder.glob("written/*.jsonl")]):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            persona = Persona(
                name=row["persona"],
                expansion=row.get("persona_expansion"),
                aliases=tuple(row.get("aliases", ())),
            )
            turn = Turn(index=1, prompt=row["prompt"], response=row["response"])
            found.append((Transcript(id=row["id"], persona=persona, turns=(turn,)), row))
    return found


def embedded() -> list[tuple[Transcript, dict[int, dict[str, Any]]]]:
    """Sessions of the embedded model, with the labels of their turns by number."""
    path = ROOT / "tests" / "scoring" / "labelled" / "smollm2-135m.jsonl"
    sessions: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        sessions.setdefault(row["session"], []).append(row)
    persona = load_persona("sage")
    found = []
    for name, rows in sessions.items():
        turns = tuple(
            Turn(index=number, prompt=row["prompt"], response=row["response"])
            for number, row in enumerate(rows, start=1)
        )
        labels = dict(enumerate(rows, start=1))
        found.append((Transcript(id=name, persona=persona, turns=turns), labels))
    return found


def rows_of(
    transcript: Transcript, group: str, labels: dict[int, list[dict[str, Any]]]
) -> list[Row]:
    replies = replies_of(transcript)
    conversation = _Conversation.of(replies, _memory(transcript))
    found = []
    for index, reply in enumerate(replies, start=1):
        text = reply.text
        conversation.known.update(reply.prompt.words)
        if not reply.english:
            continue
        setting = partnership.Setting(reply.prompt, conversation.recurrence(text))
        shared = partnership.features(text, setting)
        told = generic.judge(text, reply.prompt)[0]
        claims = confabulation.claims(text, conversation.known)
        invented = confabulation.features(claims)
        elsewhere = partnership.is_elsewhere(text, setting, shared)
        words, own = words_of(text.unquoted()), collapse.own_words(text, reply.prompt)
        own = own if collapse.may_be(text) else set()
        for label in labels[index]:
            found.append(
                Row(
                    group,
                    weight=1 / len(labels[index]),
                    shared=shared,
                    elsewhere=elsewhere,
                    invented=invented,
                    told=told,
                    ruled=lecture.judge_by_rule(text)[0],
                    weighed=lecture.may_be_weighed(text),
                    words=listed(words),
                    own_words=listed(own),
                    labels=label,
                )
            )
    return found


def listed(words: Iterable[str]) -> tuple[str, ...]:
    """Words as the weights file writes them."""
    return tuple(NAME_KEY if word == NAME_MARK else word for word in words)


def gather() -> list[Row]:
    labels: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for line in (DATA / "sage" / "labels.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels.setdefault(row["transcript"], {}).setdefault(row["response"], []).append(row)
    rows: list[Row] = []
    for name, transcript in sage_transcripts():
        rows += rows_of(transcript, name, labels[name])
    for _, transcript, row in exchanges():
        rows += rows_of(transcript, "persona " + row["persona"], {1: [row]})
    for transcript, row in contrast():
        rows += rows_of(transcript, "persona " + row["persona"], {1: [row]})
    for transcript, labelled in embedded():
        rows += rows_of(transcript, EMBEDDED, {n: [row] for n, row in labelled.items()})
    return rows


class Words:
    """The words that have weights, and what share each has of a reply's."""

    def __init__(self, rows: Sequence[Row]) -> None:
        seen = Counter(word for row in rows for word in set(row.words))
        self.listed = sorted(
            word for word, count in seen.items() if count >= LEAST_REPLIES and not word[0].isdigit()
        )
        self.place = {word: number for number, word in enumerate(self.listed)}

    def shares(self, replies: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """Shares (replies x words) of the words that have weights, times WORD_SCALE."""
        values, places, ends = [], [], [0]
        for words in replies:
            counts = Counter(self.place[word] for word in words if word in self.place)
            total = counts.total()
            values += [WORD_SCALE * count / (total + WEIGHT_PRIOR) for count in counts.values()]
            places += counts
            ends.append(len(places))
        return sparse.csr_matrix((values, places, ends), shape=(len(replies), len(self.listed)))


@dataclass(frozen=True)
class Model:
    """A fitted score: bias, weights of features, and of words (in the order of Words.listed)."""

    bias: float
    features: dict[str, float]
    words: np.ndarray

    def scores(
        self,
        features: Sequence[dict[str, float]],
        replies: Sequence[Sequence[str]],
        words: Words,
    ) -> np.ndarray:
        told = [sum(w * values[name] for name, w in self.features.items()) for values in features]
        said = words.shares(replies) @ self.words / WORD_SCALE
        return self.bias + np.array(told) + said


def fit(
    rows: Sequence[Row],
    features: Sequence[dict[str, float]],
    truth: Sequence[bool],
    names: Sequence[str],
    penalty: float,
    *,
    words: Words,
    share: float = 0.5,
    halved: bool = True,
) -> Model:
    """Logistic regression with an L2 penalty on standardised features and on shares of words.

    ``halved``: real transcripts together weigh as much as written cases. ``share`` is how much of
    the weight the positive rows have together (0 to 1).
    """
    t = np.array(truth, dtype=float)
    w = np.array([row.weight for row in rows])
    if halved:
        real = np.array([row.is_real for row in rows])
        w[real] *= w[~real].sum() / w[real].sum()
    for value, part in ((0.0, 1 - share), (1.0, share)):
        w[t == value] *= len(t) * part / (t == value).sum()
    x = np.array([[row[name] for name in names] for row in features]).reshape(len(rows), len(names))
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    own = sparse.csr_matrix(np.c_[np.ones(len(x)), (x - mean) / scale])
    z = sparse.hstack([own, words.shares([row.words for row in rows])]).tocsr()

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = z @ beta
        value = (w * (np.logaddexp(0, margin) - t * margin)).sum() + penalty * (beta[1:] ** 2).sum()
        gradient = z.T @ (w * (1 / (1 + np.exp(-margin)) - t))
        gradient[1:] += 2 * penalty * beta[1:]
        return value, gradient

    beta = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = beta[1 : 1 + len(names)] / scale
    return Model(
        float(beta[0] - slopes @ mean),
        dict(zip(names, map(float, slopes), strict=True)),
        WORD_SCALE * beta[1 + len(names) :],
    )


def fit_all(rows: list[Row], words: Words) -> dict[str, Model]:
    kept = [row for row in rows if row.group != EMBEDDED]  # one reader, of incoherent replies
    own = [row for row in kept if not row.elsewhere]
    present = [row for row in kept if row.labels["partnership"] != "none"]
    lecturing = [row for row in kept if "lecture" in row.labels]
    # Only what cues tell of a collapse is known here.
    claiming = [row for row in kept if "confabulated" in row.labels and not row.told]
    return {
        "collapse": fit(
            rows,
            [{}] * len(rows),
            [row.labels["generic_ai"] for row in rows],
            (),
            COLLAPSE_PENALTY,
            words=words,
        ),
        "partnership": fit(
            own,
            [row.shared for row in own],
            [row.labels["partnership"] != "none" for row in own],
            PRESENCE,
            PARTNERSHIP_PENALTY,
            words=words,
        ),
        "stock_partnership": fit(
            present,
            [row.shared for row in present],
            [row.labels["partnership"] == "mechanical" for row in present],
            MANNER,
            PARTNERSHIP_PENALTY,
            words=words,
        ),
        "lecture": fit(
            lecturing,
            [{}] * len(lecturing),
            [row.labels["lecture"] for row in lecturing],
            (),
            LECTURE_PENALTY,
            words=words,
            halved=False,
        ),
        "confabulation": fit(
            claiming,
            [row.invented for row in claiming],
            [row.labels["confabulated"] for row in claiming],
            CONFABULATION,
            CONFABULATION_PENALTY,
            words=words,
            share=CONFABULATION_SHARE,
            halved=False,
        ),
    }


def predict(models: dict[str, Model], rows: list[Row], words: Words) -> list[dict[str, Any]]:
    shared, said = [row.shared for row in rows], [row.words for row in rows]
    nothing: list[dict[str, float]] = [{}] * len(rows)
    dropped = models["collapse"].scores(nothing, said, words) > COLLAPSE_MARGIN
    dropped &= (
        models["collapse"].scores(nothing, [row.own_words for row in rows], words) > COLLAPSE_MARGIN
    )
    present = models["partnership"].scores(shared, said, words) > PARTNERSHIP_MARGIN
    stock = models["stock_partnership"].scores(shared, said, words) > 0
    lectures = models["lecture"].scores(nothing, said, words) > 0
    invented = (
        models["confabulation"].scores([row.invented for row in rows], said, words)
        > CONFABULATION_MARGIN
    )
    found = []
    for place, row in enumerate(rows):
        collapsed = row.told or bool(dropped[place])
        found.append(
            {
                "generic_ai": collapsed,
                "partnership": "none"
                if row.elsewhere or not present[place]
                else ("mechanical" if stock[place] else "natural"),
                "lecture": row.ruled or (row.weighed and bool(lectures[place])),
                "confabulated": bool(invented[place])
                and any(row.invented.values())
                and not collapsed,
            }
        )
    return found


def left_out(rows: list[Row]) -> None:
    """Print how well the scores do on groups that they were not fitted on."""
    pairs: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
    for group in sorted({row.group for row in rows}):
        rest = [row for row in rows if row.group != group]
        words = Words(rest)
        models = fit_all(rest, words)
        out = [row for row in rows if row.group == group]
        for row, told in zip(out, predict(models, out, words), strict=True):
            source = row.labels["id"][0] if "id" in row.labels else ""
            kinds = ["SAGE" if row.is_real else "other personas"]
            if group == EMBEDDED:
                kinds = ["SAGE, the embedded model"]
            if not row.is_real:
                kinds.append(f"  of these set {source}" if row.is_written else "  of these others")
            for measure, said in told.items():
                if measure in row.labels:
                    for kind in kinds:
                        pairs.setdefault((measure, kind), []).append((row.labels[measure], said))
    print("left out one at a time:")
    for (measure, kind), found in sorted(pairs.items()):
        values: tuple[Any, ...] = (True,)
        if measure == "partnership":
            values = ("none", "natural", "mechanical")
        scores = [f1(found, value)[2] for value in values]
        parts = ", ".join(f"{value} {part:.3f}" for value, part in zip(values, scores, strict=True))
        print(f"  {measure:13} {kind:26} F1 {np.mean(scores):.3f} ({parts}), n {len(found)}")


def write(models: dict[str, Model], words: Words) -> None:
    lines = ["# Weights of the findings, written by benchmarks/fit_findings.py. Do not edit."]
    for name, model in models.items():
        bias = model.bias - MARGINS.get(name, 0.0)
        lines += ["", f"[{name}]", f"bias = {bias:.4f}"]
        lines += [f"{key} = {value:.4f}" for key, value in model.features.items()]
    (WEIGHTS / "findings.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = [models[name].words for name in WORD_SCORES]
    rows = [
        f" {json.dumps(word, ensure_ascii=False)}: "
        + json.dumps([round(float(column[place]), 2) for column in columns])
        for place, word in enumerate(words.listed)
    ]
    scores = json.dumps(list(WORD_SCORES))
    body = f'{{"scores": {scores}, "words": {{\n' + ",\n".join(rows) + "\n}}\n"
    (WEIGHTS / "word_weights.json").write_text(body, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = gather()
    left_out(rows)
    if options.write:
        words = Words(rows)
        write(fit_all(rows, words), words)


if __name__ == "__main__":
    main()
