"""Fit the linear scores of the findings, and say how well they do on what was left out.

    python benchmarks/fit_findings.py [--write]

Four logistic models with a small L2 penalty, classes weighted alike, on ../shared/data and the
contrast cases in tests/scoring/contrast. The figures come from leaving out one SAGE transcript,
or one other persona, at a time. ``--write`` puts the weights of all data into
src/holdtrue/data/weights/findings.toml; FINDINGS_VERSION must be raised with them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from findings_agreement import DATA, exchanges, f1, sage_transcripts
from holdtrue.persona import Persona
from holdtrue.scoring import collapse, confabulation, generic, partnership
from holdtrue.scoring.findings import _Conversation, _memory, replies_of
from holdtrue.transcript import Transcript, Turn

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "holdtrue" / "data" / "weights" / "findings.toml"
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
COLLAPSE = (
    "talk",
    "own_world",
    "denials",
    "offers",
    "anyone",
    "specific",
    "named",
    "medium",
    "generic",
    "we",
)
COLLAPSE_PENALTY = 3.0
COLLAPSE_MARGIN = 0.5  # log odds that it must exceed: it sees words, and an honest line has some
CONFABULATION = ("subjects", "lives", "third_parties", "years")
PENALTY = 2.0
CONFABULATION_PENALTY = 0.5
CONFABULATION_SHARE = 0.3  # rarer than its opposite, and an accusation


@dataclass(frozen=True)
class Row:
    """One labelled response: what was left out with it, weight, features, labels.

    ``told`` is whether the cues of a generic AI find one, ``everyday`` are the features of
    collapse in everyday words where that is weighed.
    """

    group: str
    weight: float
    shared: dict[str, float]
    elsewhere: bool
    invented: dict[str, float]
    told: bool
    everyday: dict[str, float] | None
    labels: dict[str, Any]


def contrast() -> list[tuple[Transcript, dict[str, Any]]]:
    found = []
    for path in sorted((ROOT / "tests" / "scoring" / "contrast").glob("*.jsonl")):
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


def rows_of(
    transcript: Transcript, group: str, labels: dict[int, list[dict[str, Any]]]
) -> list[Row]:
    replies = replies_of(transcript)
    conversation = _Conversation.of(replies, _memory(transcript))
    found = []
    for index, reply in enumerate(replies, start=1):
        text = reply.text
        conversation.heard.update(reply.prompt.words)
        setting = partnership.Setting(reply.prompt, conversation.recurrence(text))
        shared = partnership.features(text, setting)
        told = generic.judge(text, reply.prompt)[0]
        weighed = collapse.is_weighed(text)
        everyday = collapse.features(text, reply.prompt) if weighed else None
        past = confabulation.Setting(conversation.heard, conversation.memory, told)
        claims = confabulation.claims(text, past)
        invented = confabulation.features(claims, past)
        elsewhere = partnership.is_elsewhere(text, setting, shared)
        for label in labels[index]:
            weight = 1 / len(labels[index])
            found.append(Row(group, weight, shared, elsewhere, invented, told, everyday, label))
    return found


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
    return rows


def fit(
    features: Sequence[dict[str, float]],
    truth: Sequence[bool],
    weights: Sequence[float],
    names: Sequence[str],
    penalty: float,
    *,
    share: float = 0.5,
) -> dict[str, float]:
    """Weights and ``bias`` on the features as they are; the penalty is on standardised ones.

    ``share`` is how much of the weight the positive rows have together (0 to 1).
    """
    x = np.array([[row[name] for name in names] for row in features])
    t = np.array(truth, dtype=float)
    w = np.array(weights, dtype=float)
    for value, part in ((0.0, 1 - share), (1.0, share)):
        w[t == value] *= len(t) * part / (t == value).sum()
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.c_[np.ones(len(x)), (x - mean) / scale]

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = z @ beta
        value = (w * (np.logaddexp(0, margin) - t * margin)).sum() + penalty * (beta[1:] ** 2).sum()
        gradient = z.T @ (w * (1 / (1 + np.exp(-margin)) - t))
        gradient[1:] += 2 * penalty * beta[1:]
        return value, gradient

    beta = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = beta[1:] / scale
    fitted = {"bias": float(beta[0] - slopes @ mean)}
    fitted.update(zip(names, map(float, slopes), strict=True))
    return fitted


def score(model: dict[str, float], features: dict[str, float]) -> float:
    return model["bias"] + sum(
        weight * features[name] for name, weight in model.items() if name != "bias"
    )


def fit_all(rows: list[Row]) -> dict[str, dict[str, float]]:
    own = [row for row in rows if not row.elsewhere]
    present = [row for row in rows if row.labels["partnership"] != "none"]
    told = [row for row in rows if "confabulated" in row.labels]
    weighed = [(row, row.everyday) for row in rows if row.everyday is not None]
    everyday = fit(
        [features for _row, features in weighed],
        [row.labels["generic_ai"] for row, _features in weighed],
        [row.weight for row, _features in weighed],
        COLLAPSE,
        COLLAPSE_PENALTY,
    )
    everyday["bias"] -= COLLAPSE_MARGIN
    return {
        "collapse": everyday,
        "partnership": fit(
            [row.shared for row in own],
            [row.labels["partnership"] != "none" for row in own],
            [row.weight for row in own],
            PRESENCE,
            PENALTY,
        ),
        "stock_partnership": fit(
            [row.shared for row in present],
            [row.labels["partnership"] == "mechanical" for row in present],
            [row.weight for row in present],
            MANNER,
            PENALTY,
        ),
        "confabulation": fit(
            [row.invented for row in told],
            [row.labels["confabulated"] for row in told],
            [row.weight for row in told],
            CONFABULATION,
            CONFABULATION_PENALTY,
            share=CONFABULATION_SHARE,
        ),
    }


def predict(models: dict[str, dict[str, float]], row: Row) -> dict[str, Any]:
    shared = "none"
    if not row.elsewhere and score(models["partnership"], row.shared) > 0:
        stock = score(models["stock_partnership"], row.shared) > 0
        shared = "mechanical" if stock else "natural"
    everyday = row.everyday is not None and score(models["collapse"], row.everyday) > 0
    return {
        "generic_ai": row.told or everyday,
        "partnership": shared,
        "confabulated": score(models["confabulation"], row.invented) > 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = gather()
    pairs: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
    for group in sorted({row.group for row in rows}):
        models = fit_all([row for row in rows if row.group != group])
        for row in (row for row in rows if row.group == group):
            kind = "other personas" if group.startswith("persona") else "SAGE"
            for measure, said in predict(models, row).items():
                if measure in row.labels:
                    pairs.setdefault((kind, measure), []).append((row.labels[measure], said))
    print("left out one at a time:")
    for (kind, measure), found in sorted(pairs.items()):
        values: tuple[Any, ...] = (True,)
        if measure == "partnership":
            values = ("none", "natural", "mechanical")
        scores = [f1(found, value)[2] for value in values]
        parts = ", ".join(f"{value} {part:.3f}" for value, part in zip(values, scores, strict=True))
        print(f"  {kind:15} {measure:13} F1 {np.mean(scores):.3f} ({parts}), n {len(found)}")
    models = fit_all(rows)
    lines = ["# Weights of the findings, written by benchmarks/fit_findings.py. Do not edit."]
    for name, model in models.items():
        lines += ["", f"[{name}]", *(f"{key} = {value:.4f}" for key, value in model.items())]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
