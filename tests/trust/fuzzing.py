"""Feed damaged files to every reader; only an expected error may come out, and soon.

Seeds are well-formed files; mutations cut, repeat, swap and replace bytes, and put nasty tokens
in. A reader passes when it returns or raises HoldtrueError.
"""

from __future__ import annotations

import io
import json
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np

from holdtrue.baseline import load_baseline
from holdtrue.criteria import load_criteria
from holdtrue.engines.config_json import read_shape
from holdtrue.engines.gguf_header import read_header
from holdtrue.errors import HoldtrueError
from holdtrue.importers import read_any
from holdtrue.ladder.rungs import LadderFile
from holdtrue.ladder.state import open_ladder
from holdtrue.persona import Persona, load_persona
from holdtrue.protocol import Protocol, Sampling, load_protocol
from holdtrue.runconfig import RunConfig, read_config
from holdtrue.runs import config_digest, open_run, read_journal
from holdtrue.scoring.labels import read_labels
from holdtrue.scoring.rubric import load_rubric, parse
from holdtrue.sleep.dataset import read_dataset
from holdtrue.sleep.manifest import read_manifest
from holdtrue.tomlfile import load_toml
from holdtrue.transcript import Transcript, Turn, read_transcript, to_json
from holdtrue.workspace import Settings, Workspace, find_workspace, read_state

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
    """A reader with the name of the file it is given and well-formed examples of it.

    ``slow`` is how many times longer an input takes than with the quick readers, roughly: a budget
    is split so that each reader gets its share of the time.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    slow: int = 1


@dataclass(frozen=True)
class Problem:
    """An input that crashed a reader or kept it too long."""

    reader: str
    what: str
    content: bytes


PERSONA = Persona(name="Pim", expansion="Patient Indoor Mapper")


def readers() -> list[Reader]:
    """Every reader of files that others wrote."""
    return [*user_files(), *foreign_transcripts(), *run_files(), *model_files()]


def user_files() -> list[Reader]:
    """Files that users write and pass on: TOML, labels, a judge's replies."""
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
    rubric = load_rubric("identity")
    reply = dumped(dict.fromkeys(rubric.keys, 4))

    def judged(path: Path) -> object:
        return parse(rubric, path.read_bytes().decode("utf-8", "replace"))

    ladder = b'name = "l"\nmodels = ["scripted:steady", "smollm2-135m@bits=3"]\nbudget = 8\n'
    return [
        Reader("persona", "p.toml", lambda p: load_persona(str(p)), (SMALL_PERSONA,)),
        Reader("protocol", "p.toml", lambda p: load_protocol(str(p)), (SMALL_PROTOCOL,), slow=3),
        Reader(
            "criteria",
            "c.toml",
            lambda p: load_criteria(str(p)),
            (builtin("criteria", "full"),),
            slow=2,
        ),
        Reader(
            "baseline",
            "b.toml",
            lambda p: load_baseline(str(p)),
            (builtin("baselines", "s35"),),
            slow=3,
        ),
        Reader("ladder file", "l.toml", lambda p: load_toml(p, LadderFile), (ladder,)),
        Reader(
            "rubric",
            "r.toml",
            lambda p: load_rubric(str(p)),
            (builtin("rubrics", "identity"),),
            slow=2,
        ),
        Reader("judge's reply", "j.txt", judged, (reply,)),
        Reader(
            "labels",
            "l.jsonl",
            read_labels,
            (dumped(label) + b"\n", dumped({**EXCHANGE, "self_ref": "natural"}) + b"\n"),
        ),
        Reader(
            "labels, CSV",
            "l.csv",
            read_labels,
            (b"transcript,response,annotator,self_ref,generic_ai\nt,1,1,natural,false\n",),
        ),
    ]


CHAT = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "I am Pim."}]
EXCHANGE = {"id": "e", "persona": "Pim", "prompt": "Hi?", "response": "I am Pim."}


def foreign_transcripts() -> list[Reader]:
    """Transcripts in every form that is read."""
    turns = (Turn(index=1, prompt="Hi?", response="I am Pim, by the stairs.", seed=3),)
    own = to_json(Transcript(id="t", persona=PERSONA, turns=turns, session=1, seed=2)).encode()
    speakers = [{"speaker": "A", "text": "Hi?"}, {"speaker": "Pim", "text": "Yes."}]
    shared = [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes."}]
    sample = {"id": "a", "epoch": 1, "messages": CHAT, "metadata": {"persona": "Pim", "seed": 1}}
    header = {"eval": {"model": "m"}}

    def imported(path: Path) -> object:
        return read_any([path], persona=PERSONA)

    return [
        Reader("transcript", "t.json", read_transcript, (own,)),
        Reader(
            "importers, JSON",
            "i.json",
            imported,
            (
                own,
                dumped({"messages": CHAT}),
                dumped({"conversation": speakers}),
                dumped({"conversations": shared}),
                dumped({**header, "samples": [sample]}),
            ),
        ),
        Reader(
            "importers, JSONL",
            "i.jsonl",
            imported,
            (dumped(EXCHANGE) + b"\n" + dumped({"messages": CHAT}) + b"\n",),
        ),
        Reader(
            "importers, .eval",
            "i.eval",
            imported,
            tuple(small_archive(header, sample, kind) for kind in (ZIP_STORED, ZIP_DEFLATED)),
            slow=2,
        ),
        Reader(
            "importers, .eval members",
            "m.json",
            lambda p: imported(packed(p, header)),
            (dumped(sample),),
            slow=2,
        ),
    ]


def run_files() -> list[Reader]:
    """What holdtrue stores itself and a stranger may hand over."""
    journal = {"session": 1, "turn": {"index": 1, "prompt": "p", "response": "r"}}
    memory = {"session": 1, "summary": "s", "exemplars": ["I am Pim."]}
    state = {
        "format": "holdtrue-state",
        "version": 1,
        "chains": {"Pim": {"sessions": 1, "memories": [memory]}},
    }
    config = {"run_id": "r", "label": "a", "first_session": 1, "budget": 4}
    whole = RunConfig(
        **{**config, "host": "h", "phase": "all", "model": "scripted:steady"},
        persona=PERSONA,
        protocol=small_protocol(),
        sampling=Sampling(),
        criteria=(load_criteria("minimum"),),
    )
    manifest = {
        "format": "holdtrue-adapter",
        "base": {"model": "m", "source_hash": "a", "tokenizer_hash": "b"},
        **{"dataset_hash": "c", "dataset_kind": "curated", "persona": "Pim"},
        **{"examples": 1, "pairs": 0, "settings": {"rank": 4}},
    }

    def signed(path: Path) -> object:
        """A run whose digest fits whatever else its configuration holds."""
        try:
            body = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            body["digest"] = config_digest({key: body[key] for key in body if key != "digest"})
            path.write_text(json.dumps(body))
        return read_config(open_run(path.parent))

    return [
        Reader("journal", "j.jsonl", read_journal, (dumped(journal) + b"\n",)),
        Reader(
            "state",
            "production/state.json",
            lambda p: read_state(Workspace(p.parent.parent, Settings())),
            (dumped(state),),
        ),
        Reader("workspace", "holdtrue.toml", lambda p: find_workspace(p.parent), (SETTINGS,)),
        Reader(
            "run folder",
            "run/config.json",
            lambda p: open_run(p.parent),
            (dumped({"digest": config_digest(config), **config}),),
        ),
        Reader(
            "run's configuration",
            "run/config.json",
            signed,
            (whole.model_dump_json(by_alias=True).encode(),),
            slow=3,
        ),
        Reader("adapter", "manifest.json", lambda p: read_manifest(p.parent), (dumped(manifest),)),
        Reader("ladder folder", "ladder.json", lambda p: open_ladder(p.parent), (LADDER,)),
        Reader("dataset", "card.json", lambda p: read_dataset(p.parent), (CARD,)),
    ]


def model_files() -> list[Reader]:
    """Headers of weights, read before anything is loaded."""
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "text_config": {"hidden_size": 64},
        **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        **{"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256},
    }
    tensors = dumped({"a.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})
    weights = len(tensors).to_bytes(8, "little") + tensors + bytes(16)

    def shaped(path: Path) -> object:
        (path.parent / "config.json").write_bytes(dumped({**shape, "text_config": shape}))
        return read_shape(path.parent)

    return [
        Reader("GGUF header", "m.gguf", read_header, (small_gguf(),)),
        Reader("config.json", "config.json", lambda p: read_shape(p.parent), (dumped(shape),)),
        Reader("safetensors header", "model.safetensors", shaped, (weights,)),
    ]


def builtin(kind: str, name: str) -> bytes:
    return (resources.files("holdtrue") / "data" / kind / f"{name}.toml").read_bytes()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


LADDER = dumped(
    {
        "format": "holdtrue-ladder",
        "version": 1,
        "digest": "0" * 16,
        "created": "2026-11-23",
        "plan": {"name": "l", "host": "h", "persona": {"name": "Pim"}, "phase": "all", "rungs": []},
    }
)
CARD = dumped(
    {
        **{"format": "holdtrue-sleep-dataset", "version": 1, "persona": "Pim", "seed": 0},
        **{"persona_hash": "a", "scorer": "b", "settings": {"rank": 4}, "sessions": 1},
        "sources": [{"file": "t", "sha256": "c", "sessions": 1, "responses": 1, "kept": 1}],
        **{"good_sessions": 1, "responses": 1, "dropped": {"lecture": 1}, "train": 1},
        **{"held_out": 0, "pairs": 0, "anchored": 0, "questions": ["q"]},
        **{"held_out_questions": [], "files": {"train.jsonl": "d"}},
    }
)
SETTINGS = b'persona = "sage"\nprotocol = "v2.0"\nmodel = "smollm2-135m"\nbaseline = "s35"\n'
SMALL_PERSONA = b"""
name = "Pim"
expansion = "Patient Indoor Mapper"
aliases = ["Pimmy"]
memory = "We drew the cellar."
[relationship]
partner = "Keeper"
[voice]
vocabulary = ["stairs", "doors"]
examples = ["I am Pim, and I keep the plan."]
"""
SMALL_PROTOCOL = b'''
name = "small"
description = "A protocol of one phase."
window = 6
[anchoring]
system = """
You are {{ persona.name }}.{% if summary %} Last time: {{ summary }}{% endif %}
{% for line in exemplars %} {{ line }}{% endfor %}"""
style = "Short."
continuity = true
exemplars = { count = 3, sessions = 5 }
[sampling]
temperature = 0.7
[[reminders]]
before_turn = 2
text = "You are {{ persona.name }}."
[[phases]]
name = "all"
first = 1
[[phases.flow]]
intent = "greet"
phrasings = ["Hello, {{ persona.name }}.", "Hi."]
[[phases.flow]]
intent = "ask"
phrasings = ["What do you see?"]
'''


def small_protocol() -> Protocol:
    return Protocol.model_validate(tomllib.loads(SMALL_PROTOCOL.decode()))


def small_gguf() -> bytes:
    """A header of one key and one tensor, by the format's description."""

    def text(value: bytes) -> bytes:
        return len(value).to_bytes(8, "little") + value

    key = text(b"general.architecture") + (8).to_bytes(4, "little") + text(b"llama")
    shape = (2).to_bytes(4, "little") + b"".join(n.to_bytes(8, "little") for n in (32, 2))
    tensor = text(b"t.weight") + shape + bytes(4) + bytes(8)
    counts = (1).to_bytes(8, "little") * 2
    return b"GGUF" + (3).to_bytes(4, "little") + counts + key + tensor + bytes(512)


def small_archive(header: object, sample: object, compression: int) -> bytes:
    """An Inspect log of one sample."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("header.json", dumped(header))
        archive.writestr("samples/a_epoch_1.json", dumped(sample))
    return buffer.getvalue()


def packed(path: Path, header: object) -> Path:
    """The content of ``path`` as the sample of a sound archive."""
    archive = path.with_suffix(".eval")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("header.json", dumped(header))
        file.writestr("samples/a_epoch_1.json", path.read_bytes())
    return archive


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    """``seed`` with one to four changes."""
    data = bytearray(seed)
    for number in rng.random((int(rng.integers(1, 5)), 5)):
        at = int(number[0] * (len(data) + 1))
        length = int(number[1] * (1 + min(40, len(data) - at)))
        kind = int(number[2] * 6)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * (1 + int(number[3] * 3))
        elif kind == 3:
            data[at : at + length] = TOKENS[int(number[3] * len(TOKENS))]
        elif kind == 4 and data:
            data[min(at, len(data) - 1)] = int(number[3] * 256)
        else:
            data[at:at] = rng.bytes(1 + int(number[3] * 8))
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


def shares(every: Sequence[Reader], inputs: int) -> list[int]:
    """How many of ``inputs`` each reader gets: at least as many in all."""
    weights = [1 / reader.slow for reader in every]
    return [-(-int(inputs * weight) // int(sum(weights))) for weight in weights]


def fuzz(reader: Reader, count: int, folder: Path, rng: np.random.Generator) -> Iterator[Problem]:
    """Give ``count`` damaged files to one reader; what it crashed on or took too long for."""
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    structured = ".json" in reader.file
    for _ in range(count):
        seed = reader.seeds[int(rng.integers(len(reader.seeds)))]
        change = restructured if structured and rng.random() < 0.5 else mutated
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
