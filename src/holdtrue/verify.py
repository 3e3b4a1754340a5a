"""Verify: recompute everything of a run from its transcripts and report any difference.

It proves that what is stored hangs together: the configuration fits its digest, each transcript
is the one that was stored, was journalled and asks what the seeds say, and the scores, the
verdict and every document follow from the transcripts. It cannot prove that a model really said
what is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.capacity import VERDICT, RunRecord, load_record, manifest_of
from holdtrue.documents.write import PAGE, announcements, documents_of, holds
from holdtrue.errors import ConfigError
from holdtrue.files import inside
from holdtrue.runs import CONFIG, MANIFEST, Run, age, as_stored, open_run
from holdtrue.session import turn_seed
from holdtrue.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Difference:
    """``what`` differs: as ``stored``, and as ``computed`` anew."""

    what: str
    stored: str
    computed: str


def verify(run: Run) -> list[Difference]:
    """Every difference between what ``run`` holds and what follows from its transcripts.

    Raises TranscriptError or WorkspaceError when something cannot be read at all.
    """
    record = load_record(run)
    return [
        *_bytes(run.folder / CONFIG, _stored_form(run.read_json(CONFIG))),
        *_manifest(record),
        *_sessions(record),
        *_journal(record),
        *_resources(record),
        *_verdict(record),
        *_documents(record),
    ]


def _manifest(record: RunRecord) -> Iterator[Difference]:
    """Files that were changed, removed or added since the run ended, and another scorer."""
    stored = record.run.read_json(MANIFEST)
    if stored is None:
        yield Difference(MANIFEST, "missing", "written when a run ends")
        return
    if not isinstance(stored, dict):
        raise ConfigError("not a manifest", where=str(record.run.folder / MANIFEST))
    computed = manifest_of(record.run, record.sessions)
    for key in sorted(set(stored) | set(computed)):
        old, new = stored.get(key), computed.get(key)
        if not (isinstance(old, dict) and isinstance(new, dict)):
            if old != new:
                yield Difference(f"{MANIFEST}: {key}", _short(old), _short(new))
            continue
        for name in sorted(set(old) | set(new)):
            if old.get(name) != new.get(name):
                yield Difference(
                    f"{key.rstrip('s')} {name}",
                    str(old.get(name, "not listed"))[:16],
                    str(new.get(name, "no such file"))[:16],
                )
    yield from _bytes(record.run.folder / MANIFEST, _stored_form(stored))


def _bytes(path: Path, expected: bytes) -> Iterator[Difference]:
    """A file that means the same and is not what was written."""
    if path.read_bytes() != expected:
        yield Difference(path.name, "other bytes", "the same values")


def _stored_form(value: Any) -> bytes:
    return as_stored(value).encode()


def _sessions(record: RunRecord) -> Iterator[Difference]:
    """Transcripts that do not ask what the configuration and seeds say."""
    for scored in record.sessions:
        transcript = scored.transcript
        plan = record.config.plan(transcript.session or 0)
        pairs: list[tuple[str, Any, Any]] = [
            ("persona", transcript.persona.digest, plan.persona.digest),
            ("protocol", _protocol(transcript), plan.protocol.digest),
            ("seed", transcript.seed, plan.seed),
            ("system message", transcript.system, plan.system),
            ("sampling", transcript.sampling, plan.sampling),
        ]
        for turn in transcript.turns:
            if turn.index > len(plan.prompts):
                pairs.append((f"turn {turn.index}", "present", "not planned"))
                continue
            prompt = plan.prompts[turn.index - 1]
            pairs.append((f"turn {turn.index}: prompt", turn.prompt, prompt))
            pairs.append((f"turn {turn.index}: seed", turn.seed, turn_seed(plan.seed, turn.index)))
        for what, stored, computed in pairs:
            if stored != computed:
                yield Difference(
                    f"session {transcript.session}: {what}", _short(stored), _short(computed)
                )


def _protocol(transcript: Transcript) -> str | None:
    return transcript.protocol.content_hash if transcript.protocol else None


def _journal(record: RunRecord) -> Iterator[Difference]:
    """Journalled turns that are not those of the transcripts.

    Sessions held elsewhere have no turn in the journal; sessions that were asked for beyond the
    decision have no transcript.
    """
    said = {one.transcript.session: one.transcript.turns for one in record.sessions}
    for number, turns in sorted(record.run.finished_turns().items()):
        for turn, told in zip(turns, said.get(number, turns), strict=False):
            if turn != told:
                what = f"journal: session {number}, turn {turn.index}"
                yield Difference(what, _short(turn.response), _short(told.response))
        if len(turns) != len(said.get(number, turns)):
            what = f"journal: turns of session {number}"
            yield Difference(what, str(len(turns)), str(len(said[number])))


def _resources(record: RunRecord) -> Iterator[Difference]:
    """Tokens counted otherwise than in the transcripts. Seconds and memory are as measured."""
    turns = [turn for one in record.sessions for turn in one.transcript.turns]
    for key in ("prompt_tokens", "completion_tokens"):
        stored = getattr(record.resources, key)
        computed = sum(getattr(turn, key) or 0 for turn in turns)
        if stored != computed:
            yield Difference(f"resources: {key}", f"{stored:,}", f"{computed:,}")


def _verdict(record: RunRecord) -> Iterator[Difference]:
    """Keys of the stored verdict that come out otherwise now."""
    path = record.run.folder / VERDICT
    stored = record.run.read_json(VERDICT)
    if stored is None:
        yield Difference(VERDICT, "missing", "written when a run ends")
        return
    if not isinstance(stored, dict):
        raise ConfigError("not a verdict", where=str(path))
    computed = record.verdict.as_dict()
    for key in sorted(set(stored) | set(computed)):
        if stored.get(key) != computed.get(key):
            yield Difference(f"verdict: {key}", _short(stored.get(key)), _short(computed.get(key)))
    yield from _bytes(path, _stored_form(stored))


def _documents(record: RunRecord) -> Iterator[Difference]:
    """Documents that come out otherwise now, unless a later run of the label wrote its own."""
    run = record.run
    contents = documents_of(record)
    yield from _document(run, run.folder / PAGE, contents[PAGE])
    for name, text in announcements(record).items():
        if not holds(inside(run.out, run.out / name), text):
            yield Difference(name, "no such entry", _short(text))
    if _is_superseded(record):
        return
    for name, content in contents.items():
        yield from _document(run, run.out / name, content)


def _document(run: Run, path: Path, computed: bytes) -> Iterator[Difference]:
    name = str(path.relative_to(run.out))
    if not inside(run.out, path).is_file():
        yield Difference(name, "missing", "written when a run ends")
        return
    stored = path.read_bytes()
    if stored == computed:
        return
    if path.suffix == ".png":
        yield Difference(name, _hash(stored), _hash(computed))
        return
    lines, anew = (text.decode("utf-8", "replace").split("\n") for text in (stored, computed))
    for number, (old, new) in enumerate(zip(lines, anew, strict=False), start=1):
        if old != new:
            yield Difference(f"{name}, line {number}", *_around(old, new))
            return
    yield Difference(name, f"{len(lines)} lines", f"{len(anew)} lines")


def _around(old: str, new: str) -> tuple[str, str]:
    """Two unequal lines from shortly before the place where they part."""
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    return _short(old[max(0, at - 20) :]), _short(new[max(0, at - 20) :])


def _is_superseded(record: RunRecord) -> bool:
    """Whether a later run of this label and host has ended, whose documents have these names."""
    run = record.run
    own = age(run.folder / CONFIG)
    for path in run.folder.parent.glob(f"*/{CONFIG}"):
        if not (path.parent / MANIFEST).is_file() or age(path) <= own:
            continue
        other = open_run(path.parent).config
        if (other.get("label"), other.get("host")) == (run.label, record.config.host):
            return True
    return False


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"
