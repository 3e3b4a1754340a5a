"""Known models by name: what they are, where they come from, and where they are kept.

It describes many models and fetches only those that a Python package carries; the others are
fetched by the engine that opens their ``source``. It loads nothing. ``fetch.py`` does the fetching.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated

import platformdirs
from pydantic import Field, StringConstraints, model_validator

from holdtrue.engines.filehash import cache_folder
from holdtrue.engines.modelname import ModelName, parse_model
from holdtrue.errors import ConfigError, nearest
from holdtrue.tomlfile import StrictModel, load_toml

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1, le=10**14)]


class Package(StrictModel):
    """A wheel of a package index that carries the model's file as ``member``."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+!]+$")]
    member: Line


class Entry(StrictModel):
    """A known model.

    Either ``package`` (with ``file``, ``bytes`` and ``sha256``) says where its file comes from, or
    ``source`` is a model name that another engine opens. ``parameters`` and ``active`` (those that
    one token uses, in a mixture of experts) are counts; ``layers``, ``kv_heads`` and ``head_dim``
    give the size of its key-value cache.
    """

    name: Slug
    title: Line
    family: Line
    licence: Line
    parameters: Count
    active: Count | None = None
    context_length: Count | None = None
    layers: Count | None = None
    kv_heads: Count | None = None
    head_dim: Count | None = None
    source: Line | None = None
    package: Package | None = None
    file: FileName | None = None
    bytes: Count | None = None
    sha256: Hash | None = None
    note: Line | None = None

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Entry:
        if bool(self.source) == bool(self.package):
            raise ValueError("give either source or [package]")
        if self.package and not (self.file and self.bytes and self.sha256):
            raise ValueError("a package needs file, bytes and sha256")
        if self.active and self.active > self.parameters:
            raise ValueError("active is more than parameters")
        return self

    @property
    def path(self) -> Path | None:
        """Where a fetched file is, or would be, kept; None for a model of another engine."""
        return cache_folder() / "models" / self.file if self.file else None

    @property
    def is_cached(self) -> bool:
        """Whether a file of the right size is there (its hash is checked when it is used)."""
        return bool(self.path and self.path.is_file() and self.path.stat().st_size == self.bytes)

    def weight_bytes(self, bits: float) -> int:
        """Bytes of the weights alone at ``bits`` per weight."""
        return round(self.parameters * bits / 8)


class _Catalog(StrictModel):
    models: tuple[Entry, ...] = ()


def user_file() -> Path:
    """The user's own entries; ``HOLDTRUE_MODELS`` names another file."""
    if chosen := os.environ.get("HOLDTRUE_MODELS"):
        return Path(chosen).expanduser()
    return platformdirs.user_config_path("holdtrue", appauthor=False) / "models.toml"


def entries() -> Mapping[str, Entry]:
    """Built-in and user entries by name, in the order of the files.

    Raises ConfigError when the user's file is wrong or uses the name of another entry.
    """
    found = dict(_builtin())
    path = user_file()
    if path.is_file() or os.environ.get("HOLDTRUE_MODELS"):
        for entry in load_toml(path, _Catalog).models:
            if entry.name in found:
                raise ConfigError(
                    f"a model called {entry.name!r} is already known",
                    where=str(path),
                    remedy="Give it another name.",
                )
            found[entry.name] = entry
    return found


@lru_cache(maxsize=1)
def _builtin() -> Mapping[str, Entry]:
    path = Path(str(resources.files("holdtrue") / "data" / "engines" / "models.toml"))
    return {entry.name: entry for entry in load_toml(path, _Catalog).models}


def names() -> tuple[str, ...]:
    """All known names."""
    return tuple(entries())


def find(name: str) -> Entry:
    """The entry of a name (an ablation or adapter in it is left out of account).

    Raises ConfigError offering the nearest names.
    """
    known = entries()
    base = parse_model(name).base
    if base not in known:
        raise ConfigError(f"no model {base!r} in the catalog", remedy=nearest(base, known))
    return known[base]


def engine_of(name: str) -> str | None:
    """The engine that opens a catalog name, None for a name that is not in the catalog."""
    entry = entries().get(parse_model(name).base)
    if entry is None:
        return None
    if entry.package:
        return "llamacpp"
    from holdtrue.engines.registry import PREFIXES

    prefix = (entry.source or "").partition(":")[0]
    return PREFIXES.get(prefix, prefix)


def resolve(name: ModelName) -> ModelName:
    """The name under which an engine opens the model: ``source`` in place of a catalog name."""
    entry = entries().get(name.base)
    if entry is None or entry.source is None:
        return name
    return ModelName(entry.source, name.ablation, name.adapter)


def member_of(entry: Entry) -> str:
    """The file's place in its wheel, as a plain relative path."""
    assert entry.package is not None
    return str(PurePosixPath(entry.package.member))
