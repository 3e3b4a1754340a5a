"""What people said of responses: label files in, label files out for people to fill in.

Three forms are read: JSON Lines of labels beside transcripts, JSON Lines of exchanges that carry
their labels, and CSV. A value that is missing or null is not labelled, never "none" or false.
It does not judge the labels; ``agreement`` measures how far two sets of them agree.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdtrue.errors import TranscriptError, nearest
from holdtrue.importers import exchange, files_in
from holdtrue.importers.cast import Casting
from holdtrue.importers.source import Place, decode, identity_of, kind, lines, parse, read_bytes
from holdtrue.persona import Persona
from holdtrue.scoring.measures import Naming, ScoredSession
from holdtrue.transcript import MAX_BYTES, Transcript

NAMINGS = ("self_reference", "partnership")
FLAGS = ("generic_ai", "lecture", "truncated", "confabulated")
RATINGS = ("on_topic", "quality", "identity")
MEASURES = (*NAMINGS, *FLAGS, *RATINGS)
LOWEST, HIGHEST = 1, 5
SPELLED = {"self_reference": "self_ref"}
"""How a measure is spelled in label files, where that differs."""
KEYS = {SPELLED.get(name, name): name for name in MEASURES} | {name: name for name in MEASURES}
PLACING = ("transcript", "response", "annotator")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
UNCORRECTED = "detectors"
"""The annotator of labels that nobody has gone through yet."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Value = Naming | bool | int


@dataclass(frozen=True, slots=True)
class Label:
    """What one annotator said of one response; ``response`` counts from 1.

    ``values`` holds Naming, bool or a rating from 1 to 5 by the names of MEASURES. ``where`` is
    the place in the file.
    """

    transcript: str
    response: int
    annotator: str
    values: Mapping[str, Value]
    where: str


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label file; ``transcripts`` are those that it holds itself (exchanges), else empty."""

    path: Path
    labels: tuple[Label, ...]
    transcripts: tuple[Transcript, ...] = ()

    @property
    def annotators(self) -> tuple[str, ...]:
        return tuple(sorted({label.annotator for label in self.labels}))

    def only(self, annotator: str) -> LabelFile:
        """The labels of one annotator. Raises TranscriptError naming those there are."""
        kept = tuple(label for label in self.labels if label.annotator == annotator)
        if not kept:
            known = ", ".join(self.annotators)
            raise TranscriptError(
                f"no labels by annotator {annotator!r}",
                where=str(self.path),
                remedy=f"Known: {known}",
            )
        return LabelFile(self.path, kept, self.transcripts)


class NoLabelsError(TranscriptError):
    """A readable file that holds no labels: passed over when a folder is searched."""


def find_label_files(path: Path, *, persona: Persona | None = None) -> list[LabelFile]:
    """The label file at ``path``, or every one in a folder and its subfolders, sorted.

    Raises TranscriptError: no label file there, or what is wrong in one.
    """
    if not path.is_dir():
        return [read_labels(path, persona=persona)]
    found: list[LabelFile] = []
    for candidate in files_in(path, (".jsonl", ".csv")):
        try:
            found.append(read_labels(candidate, persona=persona))
        except NoLabelsError:
            continue
    if not found:
        raise NoLabelsError(
            "no label file in this folder",
            where=str(path),
            remedy="Write one to fill in: holdtrue score PATH --to-label FILE.",
        )
    return found


def read_labels(path: Path, *, persona: Persona | None = None) -> LabelFile:
    """Read a label file. ``persona`` is whose exchanges these are, where they do not say.

    Raises TranscriptError naming line and key; NoLabelsError when nothing in it is a label.
    """
    place = Place(str(path))
    text = decode(read_bytes(path), place)
    if path.suffix == ".csv":
        file = LabelFile(path, tuple(_from_csv(text, place)))
    else:
        file = _from_lines(path, text, place, persona)
    if not any(label.values for label in file.labels):
        raise NoLabelsError(
            "holds no labels",
            where=str(path),
            remedy="A label line has transcript, response and at least one of "
            + ", ".join(SPELLED.get(name, name) for name in MEASURES)
            + ".",
        )
    seen: dict[tuple[str, int, str], str] = {}
    for label in file.labels:
        key = (label.transcript, label.response, label.annotator)
        if key in seen:
            raise TranscriptError(
                f"annotator {label.annotator!r} labels response {label.response} of "
                f"{label.transcript!r} twice (first: {seen[key]})",
                where=label.where,
                remedy="Keep one of the two, or name two annotators.",
            )
        seen[key] = label.where
    return file


def _from_lines(path: Path, text: str, place: Place, persona: Persona | None) -> LabelFile:
    labels: list[Label] = []
    inline: list[Transcript] = []
    taken: set[str] = set()
    casting = Casting(given=persona)
    for number, line in lines(text):
        here = Place(place.file, line=number)
        body = parse(line, here)
        if not isinstance(body, dict):
            raise here.fail(f"must be an object, not {kind(body)}")
        if "transcript" in body:
            labels.append(_label(body, here, _integer(body, "response", here)))
        elif exchange.recognises(body):
            values = _values(body, here)
            identity = (identity_of(body, here) or str(number)) if values else str(number)
            if identity in taken:
                raise here.fail(f"the id {identity!r} appears a second time", key="id")
            taken.add(identity)
            if not values:
                continue
            transcript = exchange.read(body, here.named(identity), casting)
            inline.append(transcript)
            labels.append(
                Label(transcript.source or "", 1, _annotator(body, here), values, here.where)
            )
        else:
            kind_of_error = TranscriptError if labels else NoLabelsError
            raise kind_of_error(
                "neither a label ('transcript', 'response', …) nor a labelled exchange "
                "('prompt', 'response', …)",
                where=here.where,
            )
    if inline and len(inline) < len(labels):
        raise place.fail("mixes labels of transcripts with labelled exchanges")
    return LabelFile(path, tuple(labels), tuple(inline))


def _from_csv(text: str, place: Place) -> Iterator[Label]:
    csv.field_size_limit(MAX_BYTES)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        if "transcript" not in header or "response" not in header:
            raise NoLabelsError(
                "the first line must name the columns transcript and response",
                where=f"{place.file}, line 1",
            )
        _refuse_slips(header, Place(place.file, line=1))
        reader.fieldnames = header
        for row in reader:
            here = Place(place.file, line=reader.line_num)
            if None in row:
                raise here.fail("has more cells than the first line has columns")
            body = {
                key: _unquoted(cell)
                for key, cell in row.items()
                if key in (*PLACING, *KEYS) and cell is not None and cell.strip()
            }
            yield _label(body, here, _integer(body, "response", here), from_text=True)
    except csv.Error as error:
        raise place.fail(f"not valid CSV near line {reader.line_num}: {error}") from None


def _unquoted(cell: str) -> str:
    """A cell without the mark that keeps spreadsheets from reading it as a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA else cell


def _label(
    body: Mapping[str, Any], place: Place, response: int, *, from_text: bool = False
) -> Label:
    transcript = body.get("transcript")
    if not isinstance(transcript, str) or not transcript.strip():
        raise place.fail("must name a transcript", key="transcript")
    if response < 1:
        raise place.fail("counts from 1", key="response")
    values = _values(body, place, from_text=from_text)
    return Label(transcript.strip(), response, _annotator(body, place), values, place.where)


def _annotator(body: Mapping[str, Any], place: Place) -> str:
    annotator = identity_of(dict(body), place, "annotator") or "1"
    if annotator == UNCORRECTED:
        raise place.fail(
            "what the detectors said is no label yet",
            key="annotator",
            remedy="Correct the labels, then put your name in place of "
            f"{UNCORRECTED!r} on every line that you have gone through, and remove the others.",
        )
    return annotator


def _integer(body: Mapping[str, Any], key: str, place: Place) -> int:
    value = body.get(key)
    if isinstance(value, str) and value.strip().isdigit() and value.isascii():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        problem = "is missing" if value is None else f"must be a whole number, not {kind(value)}"
        raise place.fail(problem, key=key)
    return value


def _values(body: Mapping[str, Any], place: Place, *, from_text: bool = False) -> dict[str, Value]:
    _refuse_slips(body, place)
    values: dict[str, Value] = {}
    for key, measure in KEYS.items():
        if body.get(key) is None:
            continue
        if measure in values:
            raise place.fail(f"the same measure as {SPELLED[measure]!r}", key=key)
        values[measure] = _value(measure, body[key], place, key, from_text=from_text)
    return values


def _value(measure: str, value: Any, place: Place, key: str, *, from_text: bool) -> Value:
    if measure in NAMINGS:
        if isinstance(value, str) and value.strip().lower() in tuple(Naming):
            return Naming(value.strip().lower())
        wanted = "none, natural or mechanical"
    elif measure in FLAGS:
        if isinstance(value, bool):
            return value
        if from_text and str(value).strip().lower() in TRUTHS:
            return TRUTHS[str(value).strip().lower()]
        wanted = "true or false"
    else:
        whole = from_text and str(value).isascii() and str(value).isdigit() and len(value) < 4
        rating = int(value) if whole else value
        if type(rating) is int and LOWEST <= rating <= HIGHEST:
            return rating
        wanted = f"a whole number from {LOWEST} to {HIGHEST}"
    shown = json.dumps(value, ensure_ascii=False)[:60]
    raise place.fail(f"must be {wanted}, not {shown}", key=key)


def _refuse_slips(keys: Iterable[str], place: Place) -> None:
    """A key that is almost a measure's name is a slip that would lose its labels."""
    import difflib

    for key in keys:
        if key not in KEYS and difflib.get_close_matches(key, KEYS, n=1, cutoff=0.85):
            raise place.fail("unknown measure", key=key, remedy=nearest(key, KEYS))


# ---- which transcript a label means ----


class Index:
    """Transcripts by every name that a label may use for them.

    Names are the file as given, its name with and without ending, and the id; for FILE#ID each of
    these with #ID, and ID alone.
    """

    def __init__(self, transcripts: Sequence[Transcript]) -> None:
        self.transcripts = transcripts
        self._named: dict[str, list[int]] = {}
        for position, transcript in enumerate(transcripts):
            for name in dict.fromkeys(names_of(transcript)):
                self._named.setdefault(name, []).append(position)

    def short_name(self, transcript: Transcript) -> str:
        """The shortest of its file names that no other transcript bears."""
        names = names_of(transcript)[:3]
        return next((n for n in reversed(names) if len(self._named[n]) == 1), names[0])

    def position(self, label: Label) -> int:
        """The position of the transcript that a label means. Raises TranscriptError."""
        found = self._named.get(label.transcript, [])
        if len(found) == 1:
            turns = len(self.transcripts[found[0]].turns)
            if label.response > turns:
                raise TranscriptError(
                    f"response {label.response} of {label.transcript!r}, which has {turns}",
                    where=label.where,
                )
            return found[0]
        if not found:
            raise TranscriptError(
                f"no transcript {label.transcript!r} here",
                where=label.where,
                remedy=nearest(label.transcript, self._named)
                + " Name their folder with --transcripts.",
            )
        sources = ", ".join(str(self.transcripts[position].source) for position in found)
        raise TranscriptError(
            f"{label.transcript!r} may be any of {sources}",
            where=label.where,
            remedy="Use the whole path in the label.",
        )


def names_of(transcript: Transcript) -> tuple[str, ...]:
    """The names under which labels may mean a transcript, the longest three first."""
    source = transcript.source or transcript.id
    file, mark, identity = source.partition("#")
    path = Path(file)
    names = [f"{name}{mark}{identity}" for name in (file, path.name, path.stem)]
    return (*names, *({identity, transcript.id} - {"", *names}))


# ---- label files to fill in ----

COLUMNS = (*PLACING, *(SPELLED.get(name, name) for name in MEASURES), "prompt", "text")


def write_to_label(path: Path, scored: Sequence[ScoredSession]) -> Path:
    """Write what the detectors say as labels for a person to correct; ratings are left open.

    JSON Lines, or CSV where the name ends in .csv. ``annotator`` says "detectors" until a person
    has gone through it and put a name there.
    """
    from holdtrue.files import write_atomic

    rows = list(_rows(scored))
    if path.suffix == ".csv":
        return write_atomic(path, to_csv(COLUMNS, rows))
    return write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _rows(scored: Sequence[ScoredSession]) -> Iterator[dict[str, Any]]:
    index = Index([session.transcript for session in scored])
    for session in scored:
        transcript = session.transcript
        name = index.short_name(transcript)
        for turn, found in zip(transcript.turns, session.scores.responses, strict=True):
            row: dict[str, Any] = {
                "transcript": name,
                "response": turn.index,
                "annotator": UNCORRECTED,
            }
            for measure in MEASURES:
                row[SPELLED.get(measure, measure)] = getattr(found, measure, None)
            yield {**row, "prompt": turn.prompt, "text": turn.response}


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a header; true and false in words, None as an empty cell.

    Text that a spreadsheet would read as a formula is kept from it by a leading apostrophe.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Naming) and value.startswith(FORMULA):
        return "'" + value
    return value
