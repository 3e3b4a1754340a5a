"""Verify: recompute everything of a run from its transcripts and report any difference.

It proves that what is stored hangs together: the configuration fits its digest, each transcript
is the one that was stored and asks what the seeds say, and the scores, the verdict and the
analysis follow from the transcripts. It cannot prove that a model really said what is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdtrue.capacity import VERDICT, RunRecord, load_record
from holdtrue.documents.write import analysis_name, analysis_text
from holdtrue.errors import ConfigError
from holdtrue.runs import MANIFEST, Run
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
    return [*_files(run), *_sessions(record), *_verdict(record), *_analysis(record)]


def _files(run: Run) -> Iterator[Difference]:
    """Transcripts that were changed, removed or added since the run ended."""
    manifest = run.read_json(MANIFEST)
    if manifest is None:
        yield Difference(MANIFEST, "missing", "written when a run ends")
        return
    stored = manifest.get("transcripts", {})
    present = {path.name: path for path in run.transcripts_folder.glob("*.json")}
    for name in sorted(stored):
        path = present.get(name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path else "no such file"
        if digest != stored[name]:
            yield Difference(f"transcript {name}", stored[name][:16], digest[:16])


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


def _verdict(record: RunRecord) -> Iterator[Difference]:
    """Keys of the stored verdict that come out otherwise now."""
    stored = record.run.read_json(VERDICT)
    if stored is None:
        yield Difference(VERDICT, "missing", "written when a run ends")
        return
    if not isinstance(stored, dict):
        raise ConfigError("not a verdict", where=str(record.run.folder / VERDICT))
    computed = record.verdict.as_dict()
    for key in sorted(set(stored) | set(computed)):
        if stored.get(key) != computed.get(key):
            yield Difference(f"verdict: {key}", _short(stored.get(key)), _short(computed.get(key)))


def _analysis(record: RunRecord) -> Iterator[Difference]:
    """The first line of the analysis that comes out otherwise now, if it is still this run's."""
    path = record.run.out / analysis_name(record)
    if not path.is_file():
        yield Difference(path.name, "missing", "written when a run ends")
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    if not any(record.run.id in line for line in lines):
        return
    anew = analysis_text(record).splitlines()
    for number, (stored, computed) in enumerate(zip(lines, anew, strict=False), start=1):
        if stored != computed:
            yield Difference(f"{path.name}, line {number}", _short(stored), _short(computed))
            return
    if len(lines) != len(anew):
        yield Difference(path.name, f"{len(lines)} lines", f"{len(anew)} lines")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"
