"""Strict reading of the TOML files that users write: every error names file, line and key."""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from holdtrue.errors import ConfigError, nearest

MAX_BYTES = 1_000_000


class StrictModel(BaseModel):
    """A frozen value read from a user's file: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @property
    def digest(self) -> str:
        """Hash of the content (sha256, 16 hex digits): equal content, equal identity."""
        text = self.model_dump_json()
        return hashlib.sha256(text.encode()).hexdigest()[:16]


Model = TypeVar("Model", bound=BaseModel)


def find_data(reference: str, kind: str, folders: tuple[Path, ...] = ()) -> Path:
    """The TOML file that ``reference`` means: a path, or a name in ``folders`` or built in.

    ``kind`` is a folder of ``holdtrue/data``. Raises ConfigError offering the nearest names, and
    for a name that is a symbolic link to somewhere else.
    """
    if reference.endswith(".toml") or "/" in reference:
        return Path(reference).expanduser()
    builtin = Path(str(resources.files("holdtrue") / "data" / kind))
    known: dict[str, Path] = {}
    for folder in (*folders, builtin):
        for path in sorted(folder.glob("*.toml")):
            known.setdefault(path.stem.lower(), path)
    if found := known.get(reference.lower()):
        return _within(found)
    raise ConfigError(f"no {kind.rstrip('s')} {reference!r}", remedy=nearest(reference, known))


def _within(path: Path) -> Path:
    """``path``, which a name was looked up as: not a link out of the folder above its own."""
    if not path.resolve().is_relative_to(path.parent.parent.resolve()):
        raise ConfigError(
            "a symbolic link leads out of the workspace",
            where=str(path),
            remedy="Replace the link by what it stands for, or give the path itself.",
        )
    return path


def load_toml(path: Path, model: type[Model]) -> Model:
    """Read and validate one file.

    Raises ConfigError naming the file, the line, the key and, for an unknown key, the nearest
    valid one.
    """
    text = read_text(path)
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"not valid TOML: {error}", where=str(path), remedy="Mend the line named above."
        ) from None
    return validate(data, model, source=str(path), text=text)


def read_text(path: Path) -> str:
    """The text of a user's file: UTF-8, at most a megabyte."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"larger than {MAX_BYTES:,} bytes", where=str(path))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text (byte {error.start})", where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None


def validate(data: Any, model: type[Model], *, source: str, text: str = "") -> Model:
    """``data`` as ``model``; ``text`` is the TOML it came from, to find line numbers in."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = [part for part in first["loc"] if isinstance(part, str | int)]
        line = _line_of(text, path)
        where = f"{source}, line {line}" if line else source
        key = ".".join(str(part) for part in path)
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, path[:-1])
            raise ConfigError(
                f"unknown key {key!r}", where=where, remedy=nearest(str(path[-1]), known)
            ) from None
        more = len(error.errors()) - 1
        tail = f" (and {more} more)" if more else ""
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"key {key!r}: {message}{tail}", where=where) from None


def _fields_at(model: Any, path: list[str | int]) -> list[str]:
    """The valid keys of the table at ``path`` inside ``model``."""
    current = model
    for part in path:
        if isinstance(part, int):
            continue
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            return []
        current = _inner_model(field.annotation)
    return list(getattr(current, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    """The model class inside ``tuple[Model, ...]``, ``Model | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


def _line_of(text: str, path: list[str | int]) -> int | None:
    """The line of the key at ``path``, counted from 1; of its table when the key is absent."""
    names = [part for part in path if isinstance(part, str)]
    if not text or not names:
        return None
    wanted_index = {
        ".".join(_names_before(path, position)): part
        for position, part in enumerate(path)
        if isinstance(part, int)
    }
    table: list[str] = []
    seen: dict[str, int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[(\[)?\s*([\w.\"'-]+)\s*\]", line):
            dotted = match[2].replace('"', "").replace("'", "")
            table = dotted.split(".")
            if match[1]:
                seen[dotted] = seen.get(dotted, -1) + 1
                for name in [key for key in seen if key.startswith(dotted + ".")]:
                    del seen[name]
            if names[: len(table)] == table and _here(seen, wanted_index, table):
                best = number
            continue
        match = re.match(r"\s*([\w\"'-]+)\s*=", line)
        is_key = match and [*table, match[1].strip("\"'")] == names[: len(table) + 1]
        if is_key and _here(seen, wanted_index, table):
            return number
    return best


def _names_before(path: list[str | int], position: int) -> list[str]:
    """The string parts of ``path`` before ``position``."""
    return [part for part in path[:position] if isinstance(part, str)]


def _here(seen: dict[str, int], wanted: dict[str, int], table: list[str]) -> bool:
    """Whether every array of tables on the way to ``table`` stands at its wanted element."""
    dotted = [".".join(table[: count + 1]) for count in range(len(table))]
    return all(seen.get(name, 0) == wanted[name] for name in dotted if name in wanted)
