"""From a model name to an engine that is ready to be entered.

Names: a catalog name (``smollm2-135m``), ``gguf:FILE``, ``hf:REPO_OR_FOLDER``,
``openai:MODEL@BASE_URL``, ``ollama:MODEL``, ``vllm:MODEL@BASE_URL``,
``inspect:PROVIDER/MODEL``, ``scripted:NAME``. A bare path is recognised by what it holds.
Engines are plug-ins of the entry point group ``holdtrue.engines``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from holdtrue.engines.base import Engine, EngineOptions
from holdtrue.errors import ConfigError, EngineError, nearest

GROUP = "holdtrue.engines"
PREFIXES = {
    "gguf": "llamacpp",
    "hf": "transformers",
    "openai": "remote",
    "ollama": "remote",
    "vllm": "remote",
    "inspect": "inspect",
    "scripted": "scripted",
}


def open_engine(model: str, options: EngineOptions | None = None) -> Engine:
    """The engine for a model name, not yet entered.

    Raises ConfigError for an unknown name (nearest offered), EngineError when the engine's
    library is missing (naming the extra to install).
    """
    from holdtrue.engines import catalog

    prefix, separator, _rest = model.partition(":")
    if separator and (name := PREFIXES.get(prefix) or _plugin_prefix(prefix)):
        return _load(name)(model, options or EngineOptions())
    if base := catalog.engine_of(model):
        return _load(base)(model, options or EngineOptions())
    if kind := _kind_of_path(Path(model).expanduser()):
        return _load(PREFIXES[kind])(f"{kind}:{model}", options or EngineOptions())
    known = [*catalog.names(), *(f"{prefix}:…" for prefix in PREFIXES)]
    raise ConfigError(f"unknown model {model!r}", remedy=nearest(model, known))


def engines(points: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """The installed engines by name.

    Raises ConfigError when two packages register one name, naming both.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise ConfigError(
                f"two engines are called {point.name!r}: "
                f"one from {_package(other)}, one from {_package(point)}",
                remedy="Uninstall one of the two packages.",
            )
        found[point.name] = point
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _plugin_prefix(prefix: str) -> str | None:
    """An engine from another package is addressed by its own name."""
    return prefix if prefix in engines() else None


def _load(name: str) -> type[Engine]:
    point = engines().get(name)
    if point is None:
        raise EngineError(f"the engine {name!r} is not installed", remedy=nearest(name, engines()))
    return cast("type[Engine]", point.load())


def _kind_of_path(path: Path) -> str | None:
    if path.suffix == ".gguf":
        return "gguf"
    if (path / "config.json").is_file():
        return "hf"
    return None
