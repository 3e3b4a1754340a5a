"""Feed damaged files to every reader; only an expected error may come out, and soon.

Seeds are well-formed files; mutations cut, repeat, swap and replace bytes, and put nasty tokens
in. A reader passes when it returns or raises HoldtrueError.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from holdtrue.baseline import load_baseline
from holdtrue.criteria import load_criteria
from holdtrue.engines.gguf_header import read_header
from holdtrue.errors import HoldtrueError
from holdtrue.importers import read_any
from holdtrue.persona import Persona, load_persona
from holdtrue.protocol import load_protocol
from holdtrue.runs import open_run, read_journal
from holdtrue.scoring.labels import read_labels
from holdtrue.transcript import Transcript, Turn, read_transcript, to_json
from holdtrue.workspace import Settings, Workspace, read_state

SLOW_SECONDS = 1.0
TOKENS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"[" * 3000,
    b"{" * 500,
    b'"\\ud800"',
    b"\xff\xfe",
    b"\x00",
    b"../../x",
    b"\xe2\x80\xae",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"\r\n",
    b"{{",
    b"{% for %}",
    b"0",
    b"18446744073709551615",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"GGUF",
)


@dataclass(frozen=True)
class Reader:
    """A reader with the name of the file it is given and well-formed examples of it."""

    name: str
    file: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]


@dataclass(frozen=True)
class Problem:
    """An input that crashed a reader or kept it too long."""

    reader: str
    what: str
    content: bytes


def builtin(kind: str, name: str) -> bytes:
    return (resources.files("holdtrue") / "data" / kind / f"{name}.toml").read_bytes()


def readers() -> list[Reader]:
    """Every reader of files that others wrote."""
    persona = Persona(name="Pim", expansion="Patient Indoor Mapper")
    turns = (Turn(index=1, prompt="Hi?", response="I am Pim, by the stairs.", seed=3),)
    own = to_json(Transcript(id="t", persona=persona, turns=turns, session=1, seed=2)).encode()
    chat = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "I am Pim."}]
    label = {
        "transcript": "t",
        "response": 1,
        "annotator": 1,
        "self_ref": "natural",
        "generic_ai": False,
        "on_topic": 4,
        "quality": 4,
        "identity": 5,
    }
    exchange = {
        "id": "e",
        "persona": "Pim",
        "prompt": "Hi?",
        "response": "I am Pim.",
        "self_ref": "natural",
    }
    journal = {"session": 1, "turn": {"index": 1, "prompt": "p", "response": "r"}}
    state = {
        "format": "holdtrue-state",
        "version": 1,
        "chains": {"Pim": {"sessions": 1, "memories": [{"session": 1, "summary": "s"}]}},
    }
    config = {"digest": "x", "label": "a", "first_session": 1, "budget": 4}
    return [
        Reader("persona", "p.toml", lambda p: load_persona(str(p)), (builtin("personas", "sage"),)),
        Reader(
            "protocol",
            "p.toml",
            lambda p: load_protocol(str(p)),
            (builtin("protocols", "v2.0"), builtin("protocols", "none")[:4000]),
        ),
        Reader(
            "criteria", "c.toml", lambda p: load_criteria(str(p)), (builtin("criteria", "full"),)
        ),
        Reader(
            "baseline", "b.toml", lambda p: load_baseline(str(p)), (builtin("baselines", "s35"),)
        ),
        Reader("transcript", "t.json", read_transcript, (own,)),
        Reader(
            "importers, JSON",
            "i.json",
            lambda p: read_any([p], persona=persona),
            (
                own,
                dumped({"messages": chat}),
                dumped(
                    {
                        "conversation": [
                            {"speaker": "A", "text": "Hi?"},
                            {"speaker": "Pim", "text": "Yes."},
                        ]
                    }
                ),
                dumped(
                    {
                        "conversations": [
                            {"from": "human", "value": "Hi?"},
                            {"from": "gpt", "value": "Yes."},
                        ]
                    }
                ),
            ),
        ),
        Reader(
            "importers, JSONL",
            "i.jsonl",
            lambda p: read_any([p], persona=persona),
            (dumped(exchange) + b"\n" + dumped({"messages": chat}) + b"\n",),
        ),
        Reader(
            "importers, .eval",
            "i.eval",
            lambda p: read_any([p], persona=persona),
            (b"PK\x03\x04" + b"\x00" * 60 + b"PK\x05\x06" + b"\x00" * 18,),
        ),
        Reader("labels", "l.jsonl", read_labels, (dumped(label) + b"\n", dumped(exchange) + b"\n")),
        Reader(
            "labels, CSV",
            "l.csv",
            read_labels,
            (b"transcript,response,annotator,self_ref,generic_ai\nt,1,1,natural,false\n",),
        ),
        Reader("journal", "j.jsonl", read_journal, (dumped(journal) + b"\n",)),
        Reader(
            "state",
            "production/state.json",
            lambda p: read_state(Workspace(p.parent.parent, Settings())),
            (dumped(state),),
        ),
        Reader("run folder", "run/config.json", lambda p: open_run(p.parent), (dumped(config),)),
        Reader("GGUF header", "m.gguf", read_header, (small_gguf(),)),
    ]


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def small_gguf() -> bytes:
    """A header of one key and one tensor, by the format's description."""

    def text(value: bytes) -> bytes:
        return len(value).to_bytes(8, "little") + value

    key = text(b"general.architecture") + (8).to_bytes(4, "little") + text(b"llama")
    shape = (2).to_bytes(4, "little") + b"".join(n.to_bytes(8, "little") for n in (32, 2))
    tensor = text(b"t.weight") + shape + bytes(4) + bytes(8)
    counts = (1).to_bytes(8, "little") * 2
    return b"GGUF" + (3).to_bytes(4, "little") + counts + key + tensor + bytes(512)


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    """``seed`` with one to four changes."""
    data = bytearray(seed)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(data) + 1))
        length = int(rng.integers(0, 1 + min(40, len(data) - at)))
        kind = int(rng.integers(0, 6))
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 4))
        elif kind == 3:
            data[at : at + length] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif kind == 4 and data:
            data[min(at, len(data) - 1)] = int(rng.integers(256))
        else:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(data)


NASTY: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    float("inf"),
    float("nan"),
    0.5,
    "",
    "..",
    "\x00",
    "../x",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [[[[[[]]]]]],
    {"a": {"a": {}}},
    "None",
    "1",
)


def restructured(seed: bytes, rng: np.random.Generator) -> bytes:
    """A JSON ``seed`` (or each of its lines) with one value replaced, removed or renamed."""
    lines = seed.splitlines() if b"\n{" in seed else [seed]
    try:
        bodies = [json.loads(line) for line in lines if line.strip()]
    except ValueError:
        return mutated(seed, rng)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = list(value) if isinstance(value, dict) else []
        keys = list(range(len(value))) if isinstance(value, list) else keys
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(bodies)
    parent, key = places[int(rng.integers(len(places)))]
    kind = int(rng.integers(0, 4))
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent["surprise"] = parent.pop(key)
    else:
        parent[key] = NASTY[int(rng.integers(len(NASTY)))]
    return b"\n".join(json.dumps(body).encode() for body in bodies) + b"\n"


def fuzz(reader: Reader, count: int, folder: Path, rng: np.random.Generator) -> Iterator[Problem]:
    """Give ``count`` damaged files to one reader; what it crashed on or took too long for."""
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(count):
        seed = reader.seeds[int(rng.integers(len(reader.seeds)))]
        change = restructured if ".json" in reader.file and rng.random() < 0.5 else mutated
        content = change(seed, rng)
        path.write_bytes(content)
        started = time.perf_counter()
        try:
            reader.read(path)
        except HoldtrueError:
            pass
        except Exception as error:  # what is looked for
            yield Problem(reader.name, f"{type(error).__name__}: {error}", content)
        if time.perf_counter() - started > SLOW_SECONDS:
            yield Problem(reader.name, f"over {SLOW_SECONDS} s", content)
