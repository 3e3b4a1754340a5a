"""Curating: what is kept, what is dropped and why, what is held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sleepkit import sessions

from holdtrue.errors import ConfigError
from holdtrue.protocol import load_protocol
from holdtrue.scoring.measures import Naming
from holdtrue.scoring.score import score_session
from holdtrue.sleep.curate import CurateSettings, curate
from holdtrue.sleep.dataset import Dataset, read_dataset, write_dataset
from holdtrue.sleep.sham import sham_of


@pytest.fixture(scope="module")
def mixed() -> Dataset:
    return curate(sessions("mixed", 12), load_protocol("none"), CurateSettings())


def test_gaming_and_collapse_are_dropped_and_counted(mixed: Dataset) -> None:
    found = [finding for session in sessions("mixed", 12) for finding in session.scores.responses]
    gaming = sum(one.self_reference is Naming.MECHANICAL for one in found)
    collapse = sum(
        bool(one.generic_ai) and one.self_reference is not Naming.MECHANICAL for one in found
    )
    assert mixed.card.dropped["gaming"] == gaming > 0
    assert mixed.card.dropped["collapse"] == collapse > 0
    kept = mixed.card.train + mixed.card.held_out
    assert kept + sum(mixed.card.dropped.values()) == mixed.card.responses == 60


@pytest.mark.parametrize("character", ["gaming", "collapse"])
def test_too_few_good_sessions_says_how_many_are_missing(character: str) -> None:
    with pytest.raises(ConfigError, match="0 good sessions found, 3 wanted: 3 are missing"):
        curate(sessions(character, 4), load_protocol("none"), CurateSettings(min_sessions=3))


def test_held_out_questions_stand_nowhere_in_training(mixed: Dataset) -> None:
    held = set(mixed.card.held_out_questions)
    assert held
    assert held.isdisjoint(mixed.card.questions)
    for example in mixed.train:
        assert held.isdisjoint(message.content for message in example.prompt)
    assert {one.question for one in mixed.held_out} <= held


def test_no_reply_that_was_gaming_or_collapse_is_shown_as_history() -> None:
    from holdtrue.sleep.curate import FAULTS, candidates

    several = sessions("mixed", 12)
    settings = CurateSettings()
    bad = {
        one.reply.text.strip()
        for session in several
        for one in candidates(session, settings)
        if one.reason in FAULTS
    }
    dataset = curate(several, load_protocol("none"), settings)
    for example in (*dataset.train, *dataset.held_out):
        assert bad.isdisjoint(message.content for message in example.prompt)


def test_anchoring_is_in_half_of_the_examples_and_absent_from_the_rest(mixed: Dataset) -> None:
    assert mixed.card.anchored == round(len(mixed.train) / 2)
    for example in mixed.train:
        system = [one.content for one in example.prompt if one.role == "system"]
        assert ("ongoing partnership" in " ".join(system)) is example.anchored
        if not example.anchored:
            assert system == ["SAGE"]


def test_weights_follow_quality_and_their_mean_is_one(mixed: Dataset) -> None:
    weights = [example.weight for example in mixed.train]
    assert sum(weights) / len(weights) == pytest.approx(1.0, abs=1e-4)
    assert max(weights) > min(weights)


def test_a_repeated_session_teaches_nothing_twice() -> None:
    once = sessions("steady", 4)
    settings = CurateSettings(held_out=0)
    single = curate(once, load_protocol("none"), settings)
    again = [score_session(one.transcript.model_copy(update={"id": "again"})) for one in once]
    double = curate([*once, *again], load_protocol("none"), settings)
    assert double.card.train == single.card.train
    assert double.card.dropped["near-duplicate"] >= single.card.train


def test_pairs_prefer_a_good_reply_to_a_faulty_one_of_the_same_question(mixed: Dataset) -> None:
    assert mixed.pairs
    good = {example.reply for example in mixed.train}
    held = set(mixed.card.held_out_questions)
    for pair in mixed.pairs:
        assert pair.chosen[0].content in good
        assert pair.rejected[0].content not in good
        assert pair.fault in ("gaming", "collapse")
        assert pair.prompt[-1].content not in held


def test_a_dataset_is_read_back_equal_and_a_changed_one_is_refused(
    mixed: Dataset, tmp_path: Path
) -> None:
    write_dataset(mixed, tmp_path)
    assert read_dataset(tmp_path) == mixed
    lines = (tmp_path / "train.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(ConfigError, match="changed after it was written"):
        read_dataset(tmp_path)


def test_the_card_names_the_hash_of_every_source(tmp_path: Path) -> None:
    import hashlib

    from holdtrue.importers import read_any
    from holdtrue.transcript import to_json

    for session in sessions("steady", 4):
        (tmp_path / f"{session.transcript.id}.json").write_text(to_json(session.transcript))
    read = [score_session(one) for one in read_any([tmp_path])]
    card = curate(read, load_protocol("none"), CurateSettings()).card
    assert len(card.sources) == 4
    for source in card.sources:
        assert source.sha256 == hashlib.sha256(Path(source.file).read_bytes()).hexdigest()
    assert sum(source.kept for source in card.sources) == card.train + card.held_out


def test_sessions_of_two_personas_are_not_mixed() -> None:
    one, two = sessions("steady", 2)
    other = two.transcript.persona.model_copy(update={"name": "Orla"})
    stranger = score_session(two.transcript.model_copy(update={"persona": other}))
    with pytest.raises(ConfigError, match="2 personas"):
        curate([one, stranger], load_protocol("none"), CurateSettings())


@pytest.mark.parametrize("kind", ["neutral", "shuffled"])
def test_a_sham_has_the_same_prompts_and_none_of_the_same_answers(
    mixed: Dataset, kind: str
) -> None:
    sham = sham_of(mixed, kind, 1)  # type: ignore[arg-type]
    assert [one.prompt for one in sham.train] == [one.prompt for one in mixed.train]
    assert all(a.reply != b.reply for a, b in zip(sham.train, mixed.train, strict=True))
    assert sham.held_out == mixed.held_out
    assert sham.sha256 != mixed.sha256
    same = sorted(one.reply for one in sham.train) == sorted(one.reply for one in mixed.train)
    assert same is (kind == "shuffled")


@pytest.mark.filterwarnings("ignore")
def test_trl_reads_the_files(mixed: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from trl.data_utils import is_conversational

    write_dataset(mixed, tmp_path)
    for name, keys in (("train.jsonl", ("prompt", "completion")),
                       ("pairs.jsonl", ("prompt", "chosen", "rejected"))):  # fmt: skip
        rows = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for row in rows:
            assert is_conversational({key: row[key] for key in keys})


def test_the_published_sessions_are_curated(shared_data: Path) -> None:
    from holdtrue.importers import read_any

    folder = shared_data / "sage" / "transcripts"
    scored = [score_session(one) for one in read_any([folder])]
    dataset = curate(scored, load_protocol("none"), CurateSettings(min_sessions=1))
    assert dataset.card.dropped["gaming"] > 20
    assert dataset.card.train >= 10
